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
from seqloss.kernels.exponential import exp, exp_near
from seqloss.kernels.vectors import (
    any_lane,
    fold_max,
    fold_min,
    fold_sum,
    lanes,
    less,
    like,
    load,
    load_first,
    maximum,
    minimum,
    multiply_add,
    not_below,
    pick,
    select,
    store,
    store_first,
)

BLOCK = 32
"""Vectors that are summed in the scores' own precision before the sum moves to float64."""

NEAR = 87.0
"""Nats that a frame's scores may lie apart so that none of its exponentials vanishes, in float32 either."""

SHALLOW = 70.0
"""Nats that a frame's scores may lie apart so that no entry of its softmax is tiny, if the largest is above 1e-6."""


@inlined
def span(scores, start, classes):
    """The largest score of a frame and the smallest.

    The largest is NaN if the frame holds a NaN or +inf, -inf if nothing else is there. A sum of all scores tells that
    there may be one; only then it is looked for.
    """
    width = lanes(scores)
    first, whole = pick(scores, start), classes - classes % width
    x = load(scores, start) if whole > 0 else load_first(scores, start, classes, first)
    top, bottom, total = x, x, x
    for c in range(width, whole, width):
        x = load(scores, start + c)
        top, bottom, total = maximum(top, x), minimum(bottom, x), total + x
    if 0 < whole < classes:
        x = load_first(scores, start + whole, classes - whole, first)
        top, bottom, total = maximum(top, x), minimum(bottom, x), total + x
    if any_lane(not_below(total, like(total, np.inf))):
        for c in range(classes):
            if not pick(scores, start + c) < np.inf:
                return np.nan, np.nan
    return np.float64(fold_max(top)), np.float64(fold_min(bottom))


@inlined
def below_one(e):
    """e where it is below 1, else 0."""
    return select(less(e, like(e, 1.0)), e, like(e, 0.0))


@inlined
def exponentials(scores, start, count, largest, smallest, result, at):
    """Write exp(score - largest) of some neighbours of a frame, whose smallest score is known too."""
    if largest - smallest < NEAR:
        _exponentials(exp_near, scores, start, count, largest, result, at)
    else:
        _exponentials(exp, scores, start, count, largest, result, at)


@inlined
def _exponentials(exponential, scores, start, count, largest, result, at):
    width = lanes(scores)
    top = like(load_first(scores, start, 0, 0.0), largest)
    whole = count - count % width
    for c in range(0, whole, width):
        store(result, at + c, exponential(load(scores, start + c) - top))
    if whole < count:
        e = exp(load_first(scores, start + whole, count - whole, -np.inf) - top)
        store_first(result, at + whole, e, count - whole)


@inlined
def others(exponentials, at, count, counted, first):
    """Sum of some neighbours' exponentials that are below 1, and how many are 1.

    Only what is 1 in `counted`, from `first` on, and not 0, is added.
    """
    width = lanes(exponentials)
    total, ties = 0.0, 0.0
    whole = count - count % width
    for block in range(0, whole, BLOCK * width):
        below = like(load_first(exponentials, at, 0, 0.0), 0.0)
        every = below
        for c in range(block, min(whole, block + BLOCK * width), width):
            e, there = load(exponentials, at + c), load(counted, first + c)
            below = multiply_add(below_one(e), there, below)
            every = multiply_add(e, there, every)
        part = np.float64(fold_sum(below))
        total += part
        ties += np.rint(np.float64(fold_sum(every)) - part)
    if whole < count:
        e = load_first(exponentials, at + whole, count - whole, 0.0)
        e = e * load_first(counted, first + whole, count - whole, 0.0)
        part = np.float64(fold_sum(below_one(e)))
        total += part
        ties += np.rint(np.float64(fold_sum(e)) - part)
    return total, ties


@inlined
def not_tiny(x):
    """x, but 0 where it would be under float32's smallest normal number, of either sign."""
    zero = like(x, 0.0)
    return select(less(maximum(x, zero - x), like(x, SMALLEST)), zero, x)


@inlined
def _normal(y):
    """y >= 0, but 0 where it would be under float32's smallest normal number."""
    return select(less(y, like(y, SMALLEST)), like(y, 0.0), y)


@inlined
def _as_it_is(y):
    return y


@inlined
def scale(result, start, classes, scale, distance, weight):
    """Turn a frame's exponentials, whose scores lie within `distance`, into its softmax, then times a weight."""
    if distance < SHALLOW and scale > 1e-6:
        _scale(_as_it_is, result, start, classes, scale, weight)
    else:
        _scale(_normal, result, start, classes, scale, weight)


@inlined
def _scale(kept, result, start, classes, scale, weight):
    width = lanes(result)
    end = start + classes
    first = load_first(result, start, 0, 0.0)
    scale, weight = like(first, scale), like(first, weight)
    position = start
    while position + width <= end:
        store(result, position, kept(load(result, position) * scale) * weight)
        position += width
    if position < end:
        x = load_first(result, position, end - position, 0.0)
        store_first(result, position, kept(x * scale) * weight, end - position)
