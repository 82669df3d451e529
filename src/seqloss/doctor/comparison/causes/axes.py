"""The same entries under another shape: axes swapped, kept, flattened, cut."""

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
            return _axes_told(_moved(order), order, pair.names[1])
    return ""


def _axes_told(moved: list[int], order: tuple[int, ...], side: str) -> str:
    if len(moved) > 2:
        return f"equal if {side}'s axes are put in the order {order}: channels first against channels last?"
    cause = "is one of them time first" if moved == [0, 1] else "channels first against channels last"
    if moved[1] == len(order) - 1:
        cause = "is a weight stored the other way round, or " + ("one of them time first" if moved[0] == 0 else cause)
    return f"equal if axes {moved[0]} and {moved[1]} are swapped: {cause}?"


def _moved(order: Sequence[int]) -> list[int]:
    return [axis for axis, origin in enumerate(order) if axis != origin]


def axes_of_one(pair: Pair) -> str:
    a, b = pair.arrays
    if a.squeeze().shape != b.squeeze().shape:
        return ""
    equal = "equal" if pair.close(a.squeeze(), b.squeeze()) else "of one shape"
    return f"{equal} without the axes of size 1: is one kept on one side?{_trap(a.shape, b.shape)}"


def _trap(*shapes: tuple[int, ...]) -> str:
    """What becomes of two shapes that are met in one operation."""
    try:
        grown = np.broadcast_shapes(*shapes)
    except ValueError:
        return ""
    return "" if grown in shapes else f"; what is computed from both broadcasts to {grown}"


def reshaped(pair: Pair) -> str:
    a, b = pair.arrays
    return "equal but for the shape: the same entries in one order" if pair.close(a.ravel(), b.ravel()) else ""


def cut(pair: Pair) -> str:
    a, b = pair.arrays
    unlike = [axis for axis in range(min(a.ndim, b.ndim)) if a.shape[axis] != b.shape[axis]]
    if a.ndim != b.ndim or len(unlike) != 1:
        return ""
    axis = unlike[0]
    sizes = a.shape[axis], b.shape[axis]
    for where, part in (("beginning", range(min(sizes))), ("end", range(-min(sizes), 0))):
        if min(sizes) and pair.close(a.take(part, axis), b.take(part, axis)):
            return (
                f"equal at the {where} of axis {axis}, of which there are {sizes[0]} and {sizes[1]}: padding, or a cut?"
            )
    return ""
