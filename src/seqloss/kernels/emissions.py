"""What each frame gives to a row's sums: its largest score, and the probabilities of the classes in use.

Only the classes of blank and target are needed, each once however often the target repeats it: they are numbered, a
frame's probabilities are computed by number, and labels look theirs up. Where most classes are in use anyway, a class
is its own number: then nothing is gathered, and the same exponentials serve softmax and sums (`is_dense`).

Probabilities are relative to the frame's largest score, in float64 whatever the scores are. So are their part in the
sum over all classes: what a target's classes add to it, the sum over paths takes back, and where a model is sure only a
thousandth may remain of either. Float32 exponentials are left for the classes that no path uses.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seqloss.contract import MASKED
from seqloss.kernels.compiled import inlined, part
from seqloss.kernels.exponential import exp, exp_near, split_exp
from seqloss.kernels.layout import LANES, slots_size
from seqloss.kernels.softmax import NEAR, below_one, others, span
from seqloss.kernels.vectors import (
    binary_exponent,
    exponent,
    fold_min,
    fold_sum,
    fraction,
    less,
    like,
    load,
    load_wide,
    load_wide_first,
    maximum,
    minimum,
    pick,
    put,
    select,
    store,
)
from seqloss.kernels.wide import NOTHING

MANY = 2.0**900
"""A product of others that is larger has its logarithm taken at once, before it leaves float64's range."""
TOGETHER = 1024
"""Scores of the frames that are measured together."""


class Frames(NamedTuple):
    """A row's frames: its scores, which classes matter, and what is known of a frame once it is measured.

    Attributes:
        scores, origin, step, class_step: what stands in memory, where the row's first score does, and how far
            the next frame's and the next class' are from it.
        count, classes: frames in use, classes.
        normalize: as in the contract; dense: a class is its own number.
        used, slots: numbers in use, and places of a frame's emissions.
        classes_used: (slots,), the class of a number.
        unused: (slots,), 0 for the numbers in use, else 1; counted: (classes,), 1 for the classes that have no number.
        emissions: (count, slots); tops: (count, 2), the largest score and `others`; depths: (count,), in bits.
        result, out: where the gradient goes, the row's from `out` on; keep: its exponentials are put there first.
    """

    scores: np.ndarray
    origin: int
    step: int
    class_step: int
    count: int
    classes: int
    normalize: bool
    dense: bool
    used: int
    slots: int
    classes_used: np.ndarray
    unused: np.ndarray
    counted: np.ndarray
    emissions: np.ndarray
    tops: np.ndarray
    depths: np.ndarray
    result: np.ndarray
    out: int
    keep: bool


@inlined
def is_dense(classes, labels, normalize):
    """Whether a class is its own number; without softmax no class is looked at that is not in use."""
    return normalize and classes <= 2 * (labels + 1)


@inlined
def number_classes(targets, labels, blank, classes, dense, seen, classes_used, unused, counted, slot):
    """Number the classes in use; returns how many numbers there are.

    Written are `slot[l]`, the number of label l, `classes_used`, the class of a number, and `unused`: 0 for the numbers
    in use, 1 for others, to the end of their vector; and `counted`, 1 for the classes that have no number.
    """
    for c in range(classes):
        counted[c] = 1.0
    count = classes if dense else 1
    for u in range(slots_size(classes if dense else min(classes, labels + 1))):
        unused[u] = 1.0
    if dense:
        for c in range(classes):
            classes_used[c] = c
        unused[blank] = 0.0
        for l in range(labels):
            slot[l] = targets[l]
            unused[targets[l]] = 0.0
    else:
        classes_used[0] = blank
        unused[0], counted[blank] = 0.0, 0.0
        for l in range(labels):
            seen[targets[l]] = -1
        for l in range(labels):
            c = targets[l]
            if seen[c] < 0:
                seen[c] = count
                classes_used[count] = c
                unused[count], counted[c] = 0.0, 0.0
                count += 1
            slot[l] = seen[c]
    return count


@inlined
def scores_used(scores, start, step, classes_used, count, d, at):
    """Write the scores of the classes in use to `d` from `at` on; their largest, NaN if one of them is NaN or +inf."""
    top = -np.inf
    wrong = False
    for u in range(count):
        x = np.float64(pick(scores, start + classes_used[u] * step))
        wrong |= not (x < np.inf)
        top = x if x > top else top
        put(d, at + u, x)
    return np.nan if wrong else top


@inlined
def _least_of_masked(least, x, e, unused):
    """The smallest exponential so far that is in use and not masked."""
    return minimum(least, maximum(select(less(x, like(x, -MASKED)), like(x, 1.0), e), unused))


@inlined
def _least_of_near(least, x, e, unused):
    """Likewise where nothing is masked."""
    return minimum(least, maximum(e, unused))


@inlined
def _depth(least):
    """Bits r such that none is below 2^-r; inf where one is under float64's range."""
    smallest = fold_min(least)
    return -np.float64(exponent(smallest)) if smallest > 0.0 else np.inf


@inlined
def _all_classes(exponential, least_of, line, start, classes, slots, unused, em, at, top):
    """A frame's `others` and depth, given its largest score; exp of each class's distance from that in `em`."""
    most = like(load(unused, 0), top)
    below, every, least = like(most, 0.0), like(most, 0.0), like(most, 1.0)
    store(em, at + slots - LANES, like(most, 0.0))
    whole = classes - classes % LANES
    for c in range(0, whole, LANES):
        x = load_wide(line, start + c) - most
        e = exponential(x)
        store(em, at + c, e)
        below, every = below + below_one(e), every + e
        least = least_of(least, x, e, load(unused, c))
    if whole < classes:
        x = load_wide_first(line, start + whole, classes - whole, -np.inf) - most
        e = exp(x)
        store(em, at + whole, e)
        below, every = below + below_one(e), every + e
        least = _least_of_masked(least, x, e, load(unused, whole))
    rest = fold_sum(below)
    return rest + (np.rint(fold_sum(every) - rest) - 1.0), _depth(least)


@inlined
def _classes_used(exponential, least_of, slots, unused, em, at):
    """Turn a frame's distances in `em` into their exp; those below 1 added up, how many are 1, and the depth.

    The last vector's distances may be -inf.
    """
    least = like(load(unused, 0), 1.0)
    below, every = like(least, 0.0), like(least, 0.0)
    for u in range(0, slots - LANES, LANES):
        x = load(em, at + u)
        e = exponential(x)
        store(em, at + u, e)
        below, every = below + below_one(e), every + e
        least = least_of(least, x, e, load(unused, u))
    u = slots - LANES
    x = load(em, at + u)
    e = exp(x)
    store(em, at + u, e)
    below, every = below + below_one(e), every + e
    least = _least_of_masked(least, x, e, load(unused, u))
    rest = fold_sum(below)
    return rest, np.rint(fold_sum(every) - rest), _depth(least)


@inlined
def _distances(scores, start, step, classes_used, count, slots, em, at, top):
    """Write how far a frame's classes in use are from its largest score; -inf to the end of the last vector."""
    for u in range(count):
        put(em, at + u, np.float64(pick(scores, start + pick(classes_used, u) * step)) - top)
    for u in range(count, slots):
        put(em, at + u, -np.inf)


@part
def _softmax_frames(frames, scores, start, step, first, some):
    """Some frames from `first` on, which stand `step` apart from `start` on; whether none is poisoned.

    What is done for each frame is done for all before the next thing: so the processor has several at hand.
    """
    classes, slots, em, tops = frames.classes, frames.slots, frames.emissions, frames.tops
    poisoned = False
    for i in range(some):
        top, bottom = span(scores, start + i * step, classes)
        poisoned |= not (top > -np.inf)
        put(tops, 2 * (first + i), top)
        put(frames.depths, first + i, bottom)
    if poisoned:
        return False
    for i in range(some):
        t = first + i
        top, bottom = pick(tops, 2 * t), pick(frames.depths, t)
        if not frames.dense:
            rest, ties = others(
                scores, start + i * step, classes, top, bottom, frames.counted, frames.result,
                frames.out + t * classes, frames.keep,
            )  # fmt: skip
            rest += ties
        elif top - bottom < NEAR:
            rest, depth = _all_classes(
                exp_near, _least_of_near, scores, start + i * step, classes, slots, frames.unused, em, t * slots, top
            )  # fmt: skip
            put(frames.depths, t, depth)
        else:
            rest, depth = _all_classes(
                exp, _least_of_masked, scores, start + i * step, classes, slots, frames.unused, em, t * slots, top
            )  # fmt: skip
            put(frames.depths, t, depth)
        put(tops, 2 * t + 1, rest)
    if not frames.dense:
        for i in range(some):
            t = first + i
            at = start + i * step
            _distances(scores, at, 1, frames.classes_used, frames.used, slots, em, t * slots, pick(tops, 2 * t))
        for i in range(some):
            t = first + i
            if pick(tops, 2 * t) - pick(frames.depths, t) < NEAR:
                rest, ties, depth = _classes_used(exp_near, _least_of_near, slots, frames.unused, em, t * slots)
            else:
                rest, ties, depth = _classes_used(exp, _least_of_masked, slots, frames.unused, em, t * slots)
            put(tops, 2 * t + 1, pick(tops, 2 * t + 1) + rest + (ties - 1.0))
            put(frames.depths, t, depth)
    return True


@part
def measure(frames, first, end, line):
    """Write the emissions, largest scores, `others` and depths of frames first..end-1; whether none is poisoned.

    Args:
        line: (classes,), as scores.
    """
    if not frames.normalize:
        return _as_they_stand(frames, first, end)
    apart = frames.class_step != 1
    together = 1 if apart else max(1, TOGETHER // frames.classes)
    for t in range(first, end, together):
        some, start = min(together, end - t), frames.origin + t * frames.step
        if apart:
            for c in range(frames.classes):
                line[c] = pick(frames.scores, start + c * frames.class_step)
            fine = _softmax_frames(frames, line, 0, 0, t, some)
        else:
            fine = _softmax_frames(frames, frames.scores, start, frames.step, t, some)
        if not fine:
            return False
    return True


@part
def _as_they_stand(frames, first, end):
    """As `measure`, of scores that are log-probabilities."""
    slots, em, tops = frames.slots, frames.emissions, frames.tops
    for t in range(first, end):
        start = frames.origin + t * frames.step
        top = scores_used(frames.scores, start, frames.class_step, frames.classes_used, frames.used, em, t * slots)
        if np.isnan(top):
            return False
        if top < -MASKED:  # every class that is read is masked
            top = 0.0
        tops[2 * t], tops[2 * t + 1] = top, 0.0
        _distances(frames.scores, start, frames.class_step, frames.classes_used, frames.used, slots, em, t * slots, top)
        _, _, depth = _classes_used(exp, _least_of_masked, slots, frames.unused, em, t * slots)
        put(frames.depths, t, depth)
    return True


@part
def certain(frames):
    """The sum over frames of the largest log-probability.

    Others r_1, r_2, ... go into one logarithm as (1 + r_1) (1 + r_2) ... - 1, a sum of positive terms that keeps its
    digits where all of them are small.
    """
    found, product = 0.0, 0.0
    for t in range(frames.count):
        if not frames.normalize:
            found += pick(frames.tops, 2 * t)
            continue
        product += pick(frames.tops, 2 * t + 1) * (1.0 + product)
        if product > MANY:
            found -= math.log1p(product)
            product = 0.0
    return found - math.log1p(product)


@inlined
def wide_emissions(d, slots, em, ee, start):
    """Write exp(d) of a frame as wide numbers."""
    for u in range(0, slots, LANES):
        x = load(d, u)
        masked = less(x, like(x, -MASKED))
        m, n = split_exp(select(masked, like(x, 0.0), x))
        m = select(masked, like(m, 0.0), m)
        store(em, start + u, fraction(m))
        store(ee, start + u, binary_exponent(m, n, like(n, NOTHING)))


@inlined
def spread(em, ee, start, slot, first, last, pm, pe):
    """The emissions of labels first..last-1, from those of their classes."""
    for l in range(first, last):
        pm[l] = em[start + slot[l]]
        pe[l] = ee[start + slot[l]]
