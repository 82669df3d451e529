"""The same but for rounding, or for a coarser type on the way."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from seqloss.doctor.comparison.pair import RTOL, Pair


def within_the_type(pair: Pair) -> str:
    return f"rounding: the types themselves allow rtol={pair.type_rtol:.2g}" if pair.close(*pair.arrays) else ""


def half_type(pair: Pair) -> str:
    for a, name, b, side in pair.ways():
        for word, rounded in HALF.items():
            if np.array_equal(rounded(a), b, equal_nan=True):
                return f"{side} is {name} rounded to {word}: a cast, or autocast?"
            near = (pair.difference <= RTOL[word] * pair.largest).all() and (a == b).mean() < 0.5
            if near and np.array_equal(rounded(b), b, equal_nan=True):
                return f"{side} has only numbers of {word}, as near as these come: computed in {word} (autocast)?"
    return ""


def _bfloat16(a: np.ndarray) -> np.ndarray:
    """Rounded to the nearest, a tie to the even one."""
    bits = a.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(a), rounded.view(np.float32).astype(np.float64), a)


HALF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bfloat16": _bfloat16,  # these come first: most of them are float16 numbers too
    "float16": lambda a: a.astype(np.float16).astype(np.float64),
}


def zero_but_for_rounding(pair: Pair) -> str:
    if not 0 < max(pair.first.largest, pair.second.largest) <= pair.type_rtol * pair.beside or pair.off == math.inf:
        return ""
    return (
        f"next to nothing beside the largest gradient, {pair.beside:.2g}: 0 but for rounding, as a bias's is before "
        f"a normalisation? Then give atol={_power_above(pair.off):g}"
    )


def grown_rounding(pair: Pair) -> str:
    if pair.off > 16 * pair.allowed or not pair.type_rtol:
        return ""
    return f"rounding that grew through the layers? Then give rtol={_power_above(pair.off / pair.largest):g}"


def _power_above(number: float) -> float:
    return 10.0 ** math.ceil(math.log10(number))


def nearly(pair: Pair) -> str:
    if pair.off > 2**-7 * pair.largest:
        return ""
    digits = -math.log10(pair.off / pair.largest)
    return (
        f"equal to {digits:.0f} digits: a lower precision inside (TF32, autocast), another epsilon in a normalisation, "
        "an approximate activation (GELU)?"
    )
