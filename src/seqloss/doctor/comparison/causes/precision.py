"""Equal except for rounding, or computed in a less precise type."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from seqloss.doctor.comparison.pair import RTOL, Pair


def within_the_type(pair: Pair) -> str:
    return f"rounding: the tolerance of the types is rtol={pair.type_rtol:.2g}" if pair.close(*pair.arrays) else ""


def half_type(pair: Pair) -> str:
    for a, name, b, side in pair.both_orders():
        for word, rounded in HALF.items():
            if np.array_equal(rounded(a), b, equal_nan=True):
                return f"{side} is {name} rounded to {word}: a cast, or autocast?"
            near = (pair.difference <= RTOL[word] * pair.largest).all() and (a == b).mean() < 0.5
            if near and np.array_equal(rounded(b), b, equal_nan=True):
                return f"{side} has only values of {word}: computed in {word} (autocast)?"
    return ""


def _bfloat16(a: np.ndarray) -> np.ndarray:
    """Round to nearest even."""
    bits = a.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(a), rounded.view(np.float32).astype(np.float64), a)


HALF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bfloat16": _bfloat16,  # first: most bfloat16 values are float16 values too
    "float16": lambda a: a.astype(np.float16).astype(np.float64),
}


def zero_but_for_rounding(pair: Pair) -> str:
    largest = max(pair.first.largest, pair.second.largest)
    if not 0 < largest <= pair.type_rtol * pair.largest_gradient or pair.max_difference == math.inf:
        return ""
    return (
        f"much smaller than the largest gradient, {pair.largest_gradient:.2g}: rounding errors of a zero gradient, "
        f"as of a bias before a normalisation? Then set atol={_next_power_of_ten(pair.max_difference):g}"
    )


def grown_rounding(pair: Pair) -> str:
    if pair.max_difference > 16 * pair.tolerance or not pair.type_rtol:
        return ""
    rtol = _next_power_of_ten(pair.max_difference / pair.largest)
    return f"accumulated rounding errors? Then set rtol={rtol:g}"


def _next_power_of_ten(number: float) -> float:
    return 10.0 ** math.ceil(math.log10(number))


def nearly_equal(pair: Pair) -> str:
    if pair.max_difference > 2**-7 * pair.largest:
        return ""
    digits = -math.log10(pair.max_difference / pair.largest)
    return (
        f"equal to {digits:.0f} digits: a lower precision inside (TF32, autocast), another epsilon in a normalisation, "
        "an approximate activation (GELU)?"
    )
