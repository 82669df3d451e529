"""The softmax of one frame: largest score, exponentials relative to it, their sum without the largest, scaling.

Exponentials are relative to the largest score, so that the denominator is 1 + others. `others` is stored without the 1:
for a confident model it is 1e-7 or less, and log p(largest) = -log1p(others) keeps its digits only if the 1 was never
added. The exponentials are written where the gradient will be, so that they are computed once and scaled later.

score - largest has more digits than a score. If the difference of -20.77 and 2.345 is rounded, the exponential is off
by seven roundings. Therefore the remainder after subtracting n ln 2 is computed from score - m ln 2 and
largest - (m - n) ln 2, two small numbers without rounding errors. This does not hold for a largest score from `FAR` on.
There the difference itself is exact, and it replaces the score.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.numba.compilation import inlined
from seqloss.kernels.numba.exponentials import exp_difference, exp_difference_near, reduce_largest
from seqloss.kernels.numba.vectors import (
    absolute,
    any_lane,
    count_lanes,
    equal,
    full_like,
    lane_count,
    less,
    load,
    load_first,
    load_one,
    maximum,
    minimum,
    not_below,
    reduce_max,
    reduce_min,
    reduce_sum,
    select,
    store,
    store_first,
)

BLOCK = 32
"""Vectors that are summed in the scores' own precision before the sum is continued in float64."""

NEAR = 87.0
"""If a frame's scores lie within so many nats, none of its exponentials underflows, in float32 either."""

FAR = 256.0
"""From this magnitude on, the largest score is subtracted first: a score within 87 nats of it is at least half as
large, so that the difference is exact."""

SHALLOW = 70.0
"""If a frame's scores lie within so many nats and its largest softmax is above 1e-6, no softmax is below SMALLEST."""


@inlined
def largest_and_smallest(scores, start, classes):
    """The largest and the smallest score of a frame.

    The largest is NaN if a score is NaN or +inf, and -inf if all are. The sum of all scores shows whether there may be
    NaN or inf; only then they are searched for, one by one.
    """
    width = lane_count(scores)
    first, whole = load_one(scores, start), classes - classes % width
    x = load(scores, start) if whole > 0 else load_first(scores, start, classes, first)
    top, bottom, total = x, x, x
    for c in range(width, whole, width):
        x = load(scores, start + c)
        top, bottom, total = maximum(top, x), minimum(bottom, x), total + x
    if 0 < whole < classes:
        x = load_first(scores, start + whole, classes - whole, first)
        top, bottom, total = maximum(top, x), minimum(bottom, x), total + x
    if any_lane(not_below(total, full_like(total, np.inf))):
        for c in range(classes):
            if not load_one(scores, start + c) < np.inf:
                return np.nan, np.nan
    return np.float64(reduce_max(top)), np.float64(reduce_min(bottom))


@inlined
def prepare_exponentials(tops, origins, rounders, rests, count):
    """Precompute, for the largest scores of some frames, the arguments of `exponentials.exp_difference`.

    Args:
        tops: (count, padded), the largest scores, of the scores' type.
        origins, rounders, rests: (count, padded), out; `origins` is subtracted from a frame's scores first.
    """
    for i in range(0, count, lane_count(tops)):
        top = load(tops, i)
        origin = select(less(absolute(top), full_like(top, FAR)), full_like(top, 0.0), top)
        rounder, rest = reduce_largest(top - origin)
        store(origins, i, origin)
        store(rounders, i, rounder)
        store(rests, i, rest)


@inlined
def write_exponentials(scores, start, count, largest, smallest, origin, rounder, rest, result, at):
    """Write exp(score - largest) of `count` neighbouring classes.

    Args:
        largest, smallest: of the frame; if they are close, no exponential can underflow, and the loop is shorter.
        origin, rounder, rest: from `prepare_exponentials`.
    """
    if largest - smallest < NEAR and origin == 0.0:
        _write_exponentials(_exp_near, scores, start, count, largest, origin, rounder, rest, result, at)
    else:
        _write_exponentials(_exp_any, scores, start, count, largest, origin, rounder, rest, result, at)


@inlined
def _exp_near(x, origin, top, rounder, rest):
    return exp_difference_near(x, top, rounder, rest)


@inlined
def _exp_any(x, origin, top, rounder, rest):
    return exp_difference(x - origin, top, rounder, rest)


@inlined
def _write_exponentials(exponential, scores, start, count, largest, origin, rounder, rest, result, at):
    width = lane_count(scores)
    origin = full_like(load_first(scores, start, 0, 0.0), origin)
    top, rounder, rest = full_like(origin, largest) - origin, full_like(origin, rounder), full_like(origin, rest)
    whole = count - count % width
    for c in range(0, whole, width):
        store(result, at + c, exponential(load(scores, start + c), origin, top, rounder, rest))
    if whole < count:
        x = load_first(scores, start + whole, count - whole, largest)
        store_first(result, at + whole, exponential(x, origin, top, rounder, rest), count - whole)


@inlined
def separate_ones(e):
    """e where it is below 1, else 0; and the number of lanes where it is 1."""
    one = full_like(e, 1.0)
    smaller = less(e, one)
    return select(smaller, e, full_like(e, 0.0)), count_lanes(equal(one, one)) - count_lanes(smaller)


@inlined
def sum_other_exponentials(exponentials, at, count, counted, first):
    """The sum of the exponentials below 1 of `count` neighbouring classes, and the number of those that are 1.

    Args:
        counted: 1 for classes to add, 0 for the others; that of the first class is at `first`.
    """
    width = lane_count(exponentials)
    total, ties = 0.0, 0
    whole = count - count % width
    for block in range(0, whole, BLOCK * width):
        part = full_like(load_first(exponentials, at, 0, 0.0), 0.0)
        for c in range(block, min(whole, block + BLOCK * width), width):
            e, as_large = separate_ones(load(exponentials, at + c) * load(counted, first + c))
            part, ties = part + e, ties + as_large
        total += np.float64(reduce_sum(part))
    if whole < count:
        there = load_first(counted, first + whole, count - whole, 0.0)
        e, as_large = separate_ones(load_first(exponentials, at + whole, count - whole, 0.0) * there)
        total, ties = total + np.float64(reduce_sum(e)), ties + as_large
    return total, ties


@inlined
def flush_tiny(x):
    """x, but 0 where its magnitude is below float32's smallest normal number."""
    return select(less(absolute(x), full_like(x, SMALLEST)), full_like(x, 0.0), x)


@inlined
def _flush_tiny_positive(y):
    """The same for y >= 0."""
    return select(less(y, full_like(y, SMALLEST)), full_like(y, 0.0), y)


@inlined
def _unchanged(y):
    return y


@inlined
def exponentials_to_softmax(result, start, classes, scale, distance, weight):
    """Multiply a frame's exponentials by `scale`, the softmax of the largest class, and by a weight, in place.

    Args:
        distance: largest minus smallest score; if it is small, no entry can be tiny, and the check is left out.
    """
    if distance < SHALLOW and scale > 1e-6:
        _scale_and_weight(_unchanged, result, start, classes, scale, weight)
    else:
        _scale_and_weight(_flush_tiny_positive, result, start, classes, scale, weight)


@inlined
def _scale_and_weight(kept, result, start, classes, scale, weight):
    width = lane_count(result)
    end = start + classes
    first = load_first(result, start, 0, 0.0)
    scale, weight = full_like(first, scale), full_like(first, weight)
    position = start
    while position + width <= end:
        store(result, position, kept(load(result, position) * scale) * weight)
        position += width
    if position < end:
        x = load_first(result, position, end - position, 0.0)
        store_first(result, position, kept(x * scale) * weight, end - position)
