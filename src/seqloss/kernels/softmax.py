"""One frame of scores: its largest, the exponentials relative to it, the sum of the others', and its softmax.

The exponentials are taken relative to the largest score, so the sum is 1 + others. `others` is kept apart: a
sure model's is 1e-7 or less, and log p(largest) = -log1p(others) keeps its digits only if it never met the 1. The
exponentials are written to where the gradient will be, so that they need not be computed again: later a frame is
scaled.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.compiled import inlined
from seqloss.kernels.exponential import exp
from seqloss.kernels.vectors import (
    any_lane,
    count_lanes,
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
def add_others(e, below, ties):
    """What is below 1 added up, and a count of the rest."""
    smaller = less(e, like(e, 1.0))
    return below + select(smaller, e, like(e, 0.0)), ties - count_lanes(smaller)


@inlined
def others(scores, start, classes, largest, counted, result, at, keep):
    """Sum of exp(score - largest) over a frame where that is below 1, and how many there are where it is 1.

    Only what is 1 in `counted` (classes,), and not 0, is added; `keep` writes each exponential to `result`.
    """
    width = lanes(scores)
    end = start + classes
    top = like(load_first(scores, start, 0, 0.0), largest)
    total, ties = 0.0, 0
    position = start
    while position < end:
        below = like(top, 0.0)
        stop = min(end, position + BLOCK * width)
        while position + width <= stop:
            e = exp(load(scores, position) - top)
            below, ties = add_others(e * load(counted, position - start), below, ties + width)
            if keep:
                store(result, at + position - start, e)
            position += width
        if position < stop:
            e = exp(load_first(scores, position, stop - position, -np.inf) - top)
            there = load_first(counted, position - start, stop - position, 0.0)
            below, ties = add_others(e * there, below, ties + width)
            if keep:
                store_first(result, at + position - start, e, stop - position)
            position = stop
        total += np.float64(fold_sum(below))
    return total, ties


@inlined
def not_tiny(x):
    """x, but 0 where it would be under float32's smallest normal number, of either sign."""
    zero = like(x, 0.0)
    return select(less(maximum(x, zero - x), like(x, SMALLEST)), zero, x)


@inlined
def scale(result, start, classes, scale, weight):
    """Turn a frame's exponentials into its softmax, then times a weight."""
    width = lanes(result)
    end = start + classes
    first = load_first(result, start, 0, 0.0)
    scale, weight = like(first, scale), like(first, weight)
    position = start
    while position + width <= end:
        store(result, position, not_tiny(load(result, position) * scale) * weight)
        position += width
    if position < end:
        x = load_first(result, position, end - position, 0.0)
        store_first(result, position, not_tiny(x * scale) * weight, end - position)
