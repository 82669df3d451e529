"""One frame of scores: its largest, the sum of the others' exponentials, and its softmax.

The exponentials are taken relative to the largest score, so the sum is 1 + others. `others` is kept apart: a
sure model's is 1e-7 or less, and log p(largest) = -log1p(others) keeps its digits only if it never met the 1.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.compiled import inlined
from seqloss.kernels.exponential import exp
from seqloss.kernels.vectors import (
    any_lane,
    either,
    fold_max,
    fold_sum,
    lanes,
    less,
    like,
    load,
    load_first,
    maximum,
    not_below,
    select,
    store,
    store_first,
)

BLOCK = 32
"""Vectors that are summed in the scores' own precision before the sum moves to float64."""


@inlined
def peak(scores, start, classes):
    """The largest score of a frame, NaN if the frame holds a NaN or +inf, -inf if nothing else is there."""
    width = lanes(scores)
    end = start + classes
    top = load_first(scores, start, min(classes, width), -np.inf)
    wrong = not_below(top, like(top, np.inf))
    position = start + width
    while position + width <= end:
        x = load(scores, position)
        wrong = either(wrong, not_below(x, like(x, np.inf)))
        top = maximum(top, x)
        position += width
    if position < end:
        x = load_first(scores, position, end - position, -np.inf)
        wrong = either(wrong, not_below(x, like(x, np.inf)))
        top = maximum(top, x)
    if any_lane(wrong):
        return np.nan
    return np.float64(fold_max(top))


@inlined
def _add_others(x, top, below, ties):
    """exp(x - top) where that is below 1, and a count of the rest."""
    e = exp(x - top)
    one = like(x, 1.0)
    nought = like(x, 0.0)
    return below + select(less(e, one), e, nought), ties + select(less(e, one), nought, one)


@inlined
def others(scores, start, classes, largest):
    """Sum of exp(score - largest) over a frame, less one of the largest's own."""
    width = lanes(scores)
    end = start + classes
    top = like(load_first(scores, start, 0, 0.0), largest)
    total, equals = 0.0, 0.0
    position = start
    while position < end:
        below = like(top, 0.0)
        ties = like(top, 0.0)
        stop = min(end, position + BLOCK * width)
        while position + width <= stop:
            below, ties = _add_others(load(scores, position), top, below, ties)
            position += width
        if position < stop:
            x = load_first(scores, position, stop - position, -np.inf)
            below, ties = _add_others(x, top, below, ties)
            position = stop
        total += np.float64(fold_sum(below))
        equals += np.float64(fold_sum(ties))
    return total + (equals - 1.0)


@inlined
def _probability(x, top, scale):
    p = exp(x - top) * scale
    return select(less(p, like(p, SMALLEST)), like(p, 0.0), p)


@inlined
def write_softmax(scores, start, classes, largest, rest, result):
    """Write a frame's softmax, given its largest score and `others`, to `result` at the same place."""
    width = lanes(scores)
    end = start + classes
    first = load_first(scores, start, 0, 0.0)
    top = like(first, largest)
    scale = like(first, 1.0 / (1.0 + rest))
    position = start
    while position + width <= end:
        store(result, position, _probability(load(scores, position), top, scale))
        position += width
    if position < end:
        x = load_first(scores, position, end - position, -np.inf)
        store_first(result, position, _probability(x, top, scale), end - position)
