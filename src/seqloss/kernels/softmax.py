"""One frame of scores: its largest, the exponentials relative to it, the sum of the others', and its softmax.

Relative to the largest score's, exponentials add up to 1 + others. `others` is kept apart: a sure model's is 1e-7 or
less, and log p(largest) = -log1p(others) keeps its digits only if it never met the 1.

They are computed as exp(score) / 2^k with 2^k near exp(largest), and divided by the largest's in a sum or a frame:
score - largest would have to be rounded, and that of -20.77 and 2.345 costs seven roundings of its exponential. A
largest score from `FAR` on is taken away: within reach of it differences are exact. Exponentials are written to where
the gradient will be, so that they need not be computed again: later a frame is scaled.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.compiled import inlined
from seqloss.kernels.exponential import LOWEST32, LOWEST64, binary_order, exp, exp_near, plain_rounder
from seqloss.kernels.vectors import (
    any_lane,
    count_lanes,
    equal,
    fold_max,
    fold_min,
    fold_sum,
    lanes,
    less,
    like,
    load,
    load_first,
    magnitude,
    maximum,
    minimum,
    not_below,
    pick,
    select,
    single,
    store,
    store_first,
)

BLOCK = 32
"""Vectors that are summed in the scores' own precision before the sum moves to float64."""

NEAR = 87.0
"""Nats that a frame's scores may lie apart so that none of its exponentials vanishes, in float32 either."""

FAR = 256.0
"""From here on, in size, a largest score is taken away: what lies 87 nats from it is less than twice as large."""

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
def relate(tops, origins, rounders, mosts, count):
    """Choose what frames' exponentials are relative to, by their largest scores.

    Args:
        tops: (count, padded), of the scores' type, as the others.
        origins, rounders: out; what is taken away from a frame's scores, and what rounds them, see `exp_near`.
        mosts: out; the largest's exponential, in [1.4, 2.9].
    """
    for i in range(0, count, lanes(tops)):
        top = load(tops, i)
        origin = select(less(magnitude(top), like(top, FAR)), like(top, 0.0), top)
        rounds = plain_rounder(top) - (binary_order(top - origin) - like(top, 1.0))
        store(origins, i, origin)
        store(rounders, i, rounds)
        store(mosts, i, exp_near(top - origin, rounds))


@inlined
def exponentials(scores, start, count, largest, smallest, origin, rounder, result, at):
    """Write the exponentials of some neighbours of a frame, whose largest and smallest score are known."""
    if largest - smallest < NEAR and origin == 0.0:
        _exponentials(_close, scores, start, count, largest, origin, rounder, result, at)
    else:
        _exponentials(_any, scores, start, count, largest, origin, rounder, result, at)


@inlined
def _close(x, origin, rounder, lowest):
    return exp_near(x, rounder)


@inlined
def _any(x, origin, rounder, lowest):
    return exp(x - origin, rounder, lowest)


@inlined
def _exponentials(exponential, scores, start, count, largest, origin, rounder, result, at):
    width = lanes(scores)
    origin = like(load_first(scores, start, 0, 0.0), origin)
    lowest = like(origin, largest) - origin + like(origin, LOWEST32 if single(origin) else LOWEST64)
    rounder = like(origin, rounder)
    whole = count - count % width
    for c in range(0, whole, width):
        store(result, at + c, exponential(load(scores, start + c), origin, rounder, lowest))
    if whole < count:
        x = load_first(scores, start + whole, count - whole, largest)
        store_first(result, at + whole, exponential(x, origin, rounder, lowest), count - whole)


@inlined
def below(e, most):
    """e where it is below the largest, else 0; and in how many lanes it is not."""
    smaller = less(e, most)
    return select(smaller, e, like(e, 0.0)), count_lanes(equal(most, most)) - count_lanes(smaller)


@inlined
def others(exponentials, at, count, counted, first, most):
    """Sum of some neighbours' exponentials that are below the largest, and how many are as large.

    Only what is 1 in `counted`, from `first` on, and not 0, is added.

    Args:
        most: the largest.
    """
    width = lanes(exponentials)
    zero = like(load_first(exponentials, at, 0, 0.0), 0.0)
    largest, total, ties = like(zero, most), 0.0, 0
    whole = count - count % width
    for block in range(0, whole, BLOCK * width):
        part = zero
        for c in range(block, min(whole, block + BLOCK * width), width):
            e, as_large = below(load(exponentials, at + c) * load(counted, first + c), largest)
            part, ties = part + e, ties + as_large
        total += np.float64(fold_sum(part))
    if whole < count:
        there = load_first(counted, first + whole, count - whole, 0.0)
        e, as_large = below(load_first(exponentials, at + whole, count - whole, 0.0) * there, largest)
        total, ties = total + np.float64(fold_sum(e)), ties + as_large
    return total, ties


@inlined
def not_tiny(x):
    """x, but 0 where it would be under float32's smallest normal number, of either sign."""
    return select(less(magnitude(x), like(x, SMALLEST)), like(x, 0.0), x)


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
