"""The same entries in another shape: axes swapped, squeezed, flattened, truncated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from seqloss.doctor.comparison.pair import Pair


def axes_in_another_order(pair: Pair) -> str:
    a, b = pair.arrays
    if a.ndim != b.ndim or not 2 <= a.ndim <= 5:
        return ""
    for order in sorted(permutations(range(a.ndim)), key=lambda order: len(_moved(order)))[1:]:
        if pair.close(a, b.transpose(order)):
            return _describe_permutation(_moved(order), order, pair.names[1])
    return ""


def _describe_permutation(moved: list[int], order: tuple[int, ...], side: str) -> str:
    if len(moved) > 2:
        return f"equal if {side}'s axes are permuted to the order {order}: channels first versus channels last?"
    cause = "is one of them time first" if moved == [0, 1] else "channels first versus channels last"
    if moved[1] == len(order) - 1:
        cause = "is a weight transposed, or " + ("one of them time first" if moved[0] == 0 else cause)
    return f"equal if axes {moved[0]} and {moved[1]} are swapped: {cause}?"


def _moved(order: Sequence[int]) -> list[int]:
    return [axis for axis, origin in enumerate(order) if axis != origin]


def axes_of_one(pair: Pair) -> str:
    a, b = pair.arrays
    if a.squeeze().shape != b.squeeze().shape:
        return ""
    equal = "equal" if pair.close(a.squeeze(), b.squeeze()) else "of the same shape"
    return (
        f"{equal} without the axes of size 1: is one squeezed on one side only?{_describe_broadcast(a.shape, b.shape)}"
    )


def _describe_broadcast(*shapes: tuple[int, ...]) -> str:
    """The shape to which an operation on both broadcasts, if that is neither of them."""
    try:
        grown = np.broadcast_shapes(*shapes)
    except ValueError:
        return ""
    return "" if grown in shapes else f"; an operation on both broadcasts to {grown}"


def reshaped(pair: Pair) -> str:
    a, b = pair.arrays
    return "equal after reshaping: the same entries in the same order" if pair.close(a.ravel(), b.ravel()) else ""


def truncated(pair: Pair) -> str:
    a, b = pair.arrays
    unlike = [axis for axis in range(min(a.ndim, b.ndim)) if a.shape[axis] != b.shape[axis]]
    if a.ndim != b.ndim or len(unlike) != 1:
        return ""
    axis = unlike[0]
    sizes = a.shape[axis], b.shape[axis]
    for where, part in (("beginning", range(min(sizes))), ("end", range(-min(sizes), 0))):
        if min(sizes) and pair.close(a.take(part, axis), b.take(part, axis)):
            return f"equal at the {where} of axis {axis}, of sizes {sizes[0]} and {sizes[1]}: padding, or truncation?"
    return ""
