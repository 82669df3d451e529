"""One frame of scores: its largest, the exponentials relative to it, the sum of the others', and its softmax.

The exponentials are taken relative to the largest score, so the sum is 1 + others. `others` is kept apart: a
sure model's is 1e-7 or less, and log p(largest) = -log1p(others) keeps its digits only if it never met the 1. The
exponentials are written to where the gradient will be, so that they need not be computed again: later a frame is
scaled.

score - largest has more digits than a score: rounded, that of -20.77 and 2.345 costs seven roundings of its
exponential. What is left of it once n ln 2 are taken away is small, and is not computed from it, but from the score
less m ln 2 and the largest less (m - n) ln 2: two small numbers without an error. With a largest score from `FAR` on
that does not hold; but there the difference itself is exact.
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
"""Vectors that are summed in the scores' own precision before the sum moves to float64."""

NEAR = 87.0
"""Nats that a frame's scores may lie apart so that none of its exponentials vanishes, in float32 either."""

FAR = 256.0
"""From here on, in size, a largest score is taken away: what lies 87 nats from it is less than twice as large."""

SHALLOW = 70.0
"""Nats that a frame's scores may lie apart so that no entry of its softmax is tiny, if the largest is above 1e-6."""


@inlined
def largest_and_smallest(scores, start, classes):
    """The largest score of a frame and the smallest.

    The largest is NaN if the frame holds a NaN or +inf, -inf if nothing else is there. A sum of all scores tells that
    there may be one; only then it is looked for.
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
    """What exponentials relative to the largest scores of some frames need to be exact, see `exponential.exp_from`.

    Args:
        tops: (count, padded), of the scores' type, as the others.
        origins, rounders, rests: out; the first is taken away from a frame's scores.
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
    """Write exp(score - largest) of some neighbours of a frame, whose smallest score is known too."""
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
    """e where it is below 1, else 0; and in how many lanes it is not."""
    one = full_like(e, 1.0)
    smaller = less(e, one)
    return select(smaller, e, full_like(e, 0.0)), count_lanes(equal(one, one)) - count_lanes(smaller)


@inlined
def sum_other_exponentials(exponentials, at, count, counted, first):
    """Sum of some neighbours' exponentials that are below 1, and how many are 1.

    Only what is 1 in `counted`, from `first` on, and not 0, is added.
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
    """x, but 0 where it would be under float32's smallest normal number, of either sign."""
    return select(less(absolute(x), full_like(x, SMALLEST)), full_like(x, 0.0), x)


@inlined
def _flush_tiny_positive(y):
    """y >= 0, but 0 where it would be under float32's smallest normal number."""
    return select(less(y, full_like(y, SMALLEST)), full_like(y, 0.0), y)


@inlined
def _unchanged(y):
    return y


@inlined
def exponentials_to_softmax(result, start, classes, scale, distance, weight):
    """Turn a frame's exponentials, whose scores lie within `distance`, into its softmax, then times a weight."""
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
