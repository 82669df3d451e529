"""One array is a multiple of the other, and what the factor can be."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from seqloss.doctor.comparison.pair import Pair


def scaled(pair: Pair) -> str:
    a, b = (np.where(np.isfinite(array), array, 0.0) for array in pair.arrays)
    ratio = float(np.vdot(a, b) / np.vdot(a, a))
    if not 1e-30 < abs(ratio) < 1e30 or not pair.close(ratio * pair.arrays[0], pair.arrays[1]):
        return ""
    number = ratio if abs(ratio) > 1 else 1 / ratio
    meaning = _explain_ratio(abs(number), pair)
    whole = abs(number) > 1.5 and _is_near(abs(number), round(abs(number)), pair)
    if np.count_nonzero(a) == 1 and not meaning and not whole:  # a single number is always a multiple of another
        return ""
    large, small = pair.names if abs(ratio) < 1 else pair.names[::-1]
    return f"{large} is {number:.6g} times {small}{meaning}"


def _explain_ratio(number: float, pair: Pair) -> str:
    """What a factor can be: the size of an axis, the sum of lengths, or the square root of one."""
    for size, words in _named_sizes(pair):
        if size > 1 and _is_near(number, size, pair):
            return f"; {size} is the {words}: sum versus mean?"
        if size > 1 and _is_near(number, math.sqrt(size), pair):
            return f"; {size}, its square, is the {words}: is a scale missing, or applied twice?"
    return ""


def _is_near(number: float, other: float, pair: Pair) -> bool:
    return math.isclose(number, other, rel_tol=4 * pair.type_rtol)


def _named_sizes(pair: Pair) -> Iterator[tuple[int, str]]:
    arrays = [(k, part) for k, part in enumerate(pair.batch) if isinstance(part, np.ndarray)]
    for k, part in arrays:
        yield from ((size, f"size of axis {axis} of argument {k}") for axis, size in enumerate(part.shape))
    yield from ((int(lengths.sum()), f"sum of argument {k}") for k, lengths in pair.length_arguments())
    for k, part in arrays:
        if part.ndim > 1:
            yield part.shape[0] * part.shape[1], f"size of axes 0 and 1 together of argument {k}"
    yield from ((size, f"size of its axis {axis}") for axis, size in enumerate(pair.arrays[0].shape))
