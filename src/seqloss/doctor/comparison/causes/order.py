"""The same entries in another order along one axis."""

from __future__ import annotations

import numpy as np

from seqloss.doctor.comparison.causes.ranges import format_ranges
from seqloss.doctor.comparison.pair import Pair


def reversed_axis(pair: Pair) -> str:
    a, b = pair.arrays
    axis = next((axis for axis in range(b.ndim) if pair.close(a, np.flip(b, axis))), None)
    return "" if axis is None else f"equal if axis {axis} is reversed: is a sequence reversed on one side only?"


def rolled(pair: Pair) -> str:
    a, b = pair.arrays
    for axis in reversed(range(b.ndim)):
        for step in (1, -1):
            if pair.close(a, np.roll(b, step, axis)):
                cause = "blank first versus last" if axis == b.ndim - 1 else "is one of them shifted"
                return f"equal if {pair.names[1]}'s axis {axis} is rolled by {step}: {cause}?"
    return ""


def permuted(pair: Pair) -> str:
    a, b = pair.arrays
    for axis in reversed(range(b.ndim)):
        order = _matching_order(a, b, axis)
        if pair.close(a, b.take(order, axis)):
            cause = "classes" if axis else "rows sorted by length, classes"
            permutation = f"equal if {pair.names[1]}'s axis {axis} is permuted to the order {format_ranges(order)}"
            return f"{permutation}: {cause}, or gates of a recurrent cell in another order?"
    return ""


def _matching_order(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    """For each slice of a, the slice of b that can be equal: both are sorted by the same random projection."""
    ranks = []
    for array in (a, b):
        slices = np.moveaxis(np.where(np.isfinite(array), array, 0.0), axis, 0).reshape(array.shape[axis], -1)
        ranks.append(np.argsort(slices @ np.random.default_rng(0).normal(size=slices.shape[1]), kind="stable"))
    order = np.empty_like(ranks[0])
    order[ranks[0]] = ranks[1]
    return order
