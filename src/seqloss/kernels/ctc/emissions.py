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
from seqloss.kernels.ctc.layout import LANES, TOGETHER, slots_size
from seqloss.kernels.numba.bits import binary_exponent, mantissa_in_one_to_two
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.exponentials import LOG2E, rebuild_exp, reduce_any, reduce_near, split_exp
from seqloss.kernels.numba.extended_exponent import ZERO_EXPONENT
from seqloss.kernels.numba.softmax import (
    NEAR,
    largest_and_smallest,
    prepare_exponentials,
    separate_ones,
    sum_other_exponentials,
    write_exponentials,
)
from seqloss.kernels.numba.vectors import (
    full_like,
    gather_float64,
    keep_first_lanes,
    less,
    load,
    load_first_float64,
    load_float64,
    load_one,
    maximum,
    minimum,
    reduce_min,
    reduce_sum,
    select,
    store,
    store_one,
)

MANY = 2.0**200
"""Where a product of others is larger its logarithm is taken at once, before four of them leave float64's range."""
STRETCH = 512
"""Neighbours whose exponentials are added up while they are still at hand."""


class Scratch(NamedTuple):
    """What measuring needs and leaves behind.

    Attributes:
        line: (classes,), as scores; exponentials: (TOGETHER or classes,), as scores.
        tops, origins, rounders, rests: (TOGETHER,), as scores, see `softmax.relate`.
        powers: (TOGETHER or slots,), float64.
    """

    line: np.ndarray
    exponentials: np.ndarray
    tops: np.ndarray
    origins: np.ndarray
    rounders: np.ndarray
    rests: np.ndarray
    powers: np.ndarray


class Frames(NamedTuple):
    """A row's frames: its scores, which classes matter, and what is known of a frame once it is measured.

    Attributes:
        scores, origin, step, class_step: what stands in memory, where the row's first score does, and how far
            the next frame's and the next class' are from it.
        count, classes: frames in use, classes.
        normalize: as in the contract; dense: a class is its own number.
        used, slots: numbers in use, and places of a frame's emissions.
        classes_used: (slots,), the class of a number.
        floor: (slots,), -inf for the numbers in use, else 0; counted: (classes,), 1 for the classes without a number.
        emissions: (count, slots).
        tops, bottoms, rests, depths: (count,), the largest score and the smallest, `others`, and the depth in bits.
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
    floor: np.ndarray
    counted: np.ndarray
    emissions: np.ndarray
    tops: np.ndarray
    bottoms: np.ndarray
    rests: np.ndarray
    depths: np.ndarray
    result: np.ndarray
    out: int
    keep: bool


@inlined
def is_dense(classes, labels, normalize):
    """Whether a class is its own number; without softmax no class is looked at that is not in use."""
    return normalize and classes <= 2 * (labels + 1)


@inlined
def number_classes(targets, labels, blank, classes, dense, seen, classes_used, floor, counted, slot):
    """Number the classes in use; returns how many numbers there are.

    Written are `slot[l]`, the number of label l, `classes_used`, the class of a number, and `floor`: -inf for the
    numbers in use, 0 for others, to the end of their vector; and `counted`, 1 for the classes that have no number.
    """
    for c in range(classes):
        counted[c] = 1.0
    count = classes if dense else 1
    for u in range(slots_size(classes if dense else min(classes, labels + 1))):
        floor[u] = 0.0
    if dense:
        for c in range(classes):
            classes_used[c] = c
        floor[blank] = -np.inf
        for l in range(labels):
            slot[l] = targets[l]
            floor[targets[l]] = -np.inf
    else:
        floor[0], counted[blank] = -np.inf, 0.0
        for l in range(labels):
            seen[targets[l]] = -1
        for u in range(slots_size(min(classes, labels + 1))):
            classes_used[u] = blank
        for l in range(labels):
            c = targets[l]
            if seen[c] < 0:
                seen[c] = count
                classes_used[count] = c
                floor[count], counted[c] = -np.inf, 0.0
                count += 1
            slot[l] = seen[c]
    return count


@inlined
def gather_scores(scores, start, step, classes_used, count, d, at):
    """Write the scores of the classes in use to `d` from `at` on; their largest, NaN if one of them is NaN or +inf."""
    top = -np.inf
    wrong = False
    for u in range(count):
        x = np.float64(load_one(scores, start + classes_used[u] * step))
        wrong |= not (x < np.inf)
        top = x if x > top else top
        store_one(d, at + u, x)
    return np.nan if wrong else top


@inlined
def _load_distances(frames, scores, start, u, most):
    """How far eight classes are from a frame's largest score, from number u on."""
    if frames.dense:
        return load_float64(scores, start + u) - most
    return gather_float64(scores, start, load(frames.classes_used, u)) - most


@inlined
def _load_last_distances(frames, scores, start, u, most):
    """Likewise in a frame's last vector, where some lanes stand for no class and hold another's distance."""
    if frames.dense:
        return load_first_float64(scores, start + u, frames.classes - u, load_one(scores, start)) - most
    return gather_float64(scores, start, load(frames.classes_used, u)) - most


@inlined
def _sizes_in_use(frames):
    """Elements of a frame's emissions in use, in vectors that are not empty, and in those that are full."""
    count = frames.classes if frames.dense else frames.used
    return count, (count + LANES - 1) // LANES * LANES, count // LANES * LANES


@inlined
def _begin_exp_near(frames, powers, em, at, x):
    """Begin the exponentials of a vector of distances up to `NEAR`; those that count for the depth."""
    r, power = reduce_near(frames.scores, x)
    store(frames.emissions, em, r)
    store(powers, at, power)
    return x


@inlined
def _begin_exp_any(frames, powers, em, at, x):
    """Likewise of distances that may be any; 0 for those that do not count."""
    r, power = reduce_any(frames.scores, x)
    store(frames.emissions, em, r)
    store(powers, at, power)
    return select(less(x, full_like(x, -MASKED)), full_like(x, 0.0), x)


@inlined
def _begin_exp_frame(begin, frames, scores, start, t, powers, at):
    """Begin the exponentials of frame t, whose scores stand from `start` on, and tell its depth."""
    em, (count, busy, full) = t * frames.slots, _sizes_in_use(frames)
    most = full_like(load(frames.floor, 0), load_one(frames.tops, t))
    lowest = full_like(most, 0.0)
    for u in range(0, full, LANES):
        x = begin(frames, powers, em + u, at + u, _load_distances(frames, scores, start, u, most))
        lowest = minimum(lowest, maximum(x, load(frames.floor, u)))
    if full < count:
        x = begin(frames, powers, em + full, at + full, _load_last_distances(frames, scores, start, full, most))
        lowest = minimum(lowest, maximum(x, load(frames.floor, full)))
    if busy < frames.slots:
        store(frames.emissions, em + busy, full_like(most, 0.0))
    store_one(frames.depths, t, -LOG2E * reduce_min(lowest))


@inlined
def _finish_exp_frame(frames, t, powers, at):
    """Finish the exponentials of frame t; lanes that stand for no class hold 0."""
    em, (count, _, full) = t * frames.slots, _sizes_in_use(frames)
    for u in range(0, full, LANES):
        store(
            frames.emissions, em + u, rebuild_exp(frames.scores, load(frames.emissions, em + u), load(powers, at + u))
        )
    if full < count:
        e = rebuild_exp(frames.scores, load(frames.emissions, em + full), load(powers, at + full))
        store(frames.emissions, em + full, keep_first_lanes(e, count - full))


@inlined
def _sum_exponentials_in_use(frames, t):
    """Add a frame's exponentials below 1 to its `others`, and how many more than one are 1."""
    em, (_, busy, _) = t * frames.slots, _sizes_in_use(frames)
    rest, ties = full_like(load(frames.emissions, em), 0.0), -1
    for u in range(0, busy, LANES):
        e, as_large = separate_ones(load(frames.emissions, em + u))
        rest, ties = rest + e, ties + as_large
    store_one(frames.rests, t, load_one(frames.rests, t) + reduce_sum(rest) + ties)


@inlined
def _sum_exponentials_not_in_use(frames, scores, start, step, first, some, scratch):
    """What these add to `others` of some frames; their exponentials go to where the gradient will be, if it will."""
    classes = frames.classes
    kept, at = (frames.result, frames.out + first * classes) if frames.keep else (scratch.exponentials, 0)
    prepare_exponentials(scratch.tops, scratch.origins, scratch.rounders, scratch.rests, some)
    for stretch in range(0, classes, STRETCH):
        count = min(STRETCH, classes - stretch)
        for i in range(some):
            top, bottom = load_one(frames.tops, first + i), load_one(frames.bottoms, first + i)
            origin, rounder, rest = (
                load_one(scratch.origins, i),
                load_one(scratch.rounders, i),
                load_one(scratch.rests, i),
            )
            x, e = start + i * step + stretch, at + i * classes + stretch
            write_exponentials(scores, x, count, top, bottom, origin, rounder, rest, kept, e)
        for i in range(some):
            rest, ties = sum_other_exponentials(kept, at + i * classes + stretch, count, frames.counted, stretch)
            store_one(frames.rests, first + i, load_one(frames.rests, first + i) + rest + ties)


@subroutine
def _measure_softmax_frames(frames, scores, start, step, first, some, scratch):
    """Some frames from `first` on, which stand `step` apart from `start` on; whether none is non-finite.

    What is done for each frame is done for all before the next thing: so the processor has several at hand.
    """
    non_finite = False
    for i in range(some):
        top, bottom = largest_and_smallest(scores, start + i * step, frames.classes)
        non_finite |= not (top > -np.inf)
        store_one(scratch.tops, i, top)
        store_one(frames.tops, first + i, top)
        store_one(frames.bottoms, first + i, bottom)
        store_one(frames.rests, first + i, 0.0)
    if non_finite:
        return False
    if not frames.dense:
        _sum_exponentials_not_in_use(frames, scores, start, step, first, some, scratch)
    for i in range(some):
        t, powers, at = first + i, scratch.powers, i * frames.slots
        if load_one(frames.tops, t) - load_one(frames.bottoms, t) < NEAR:
            _begin_exp_frame(_begin_exp_near, frames, scores, start + i * step, t, powers, at)
        else:
            _begin_exp_frame(_begin_exp_any, frames, scores, start + i * step, t, powers, at)
    for i in range(some):
        _finish_exp_frame(frames, first + i, scratch.powers, i * frames.slots)
    for i in range(some):
        _sum_exponentials_in_use(frames, first + i)
    return True


@subroutine
def measure_frames(frames, first, end, scratch):
    """Write what is known of frames first..end-1, once they are measured; whether none is non-finite."""
    if not frames.normalize:
        return _measure_log_probabilities(frames, first, end, scratch.powers)
    apart = frames.class_step != 1
    together = 1 if apart else max(1, TOGETHER // max(frames.classes, frames.slots))
    for t in range(first, end, together):
        some, start = min(together, end - t), frames.origin + t * frames.step
        if apart:
            for c in range(frames.classes):
                scratch.line[c] = load_one(frames.scores, start + c * frames.class_step)
            fine = _measure_softmax_frames(frames, scratch.line, 0, 0, t, some, scratch)
        else:
            fine = _measure_softmax_frames(frames, frames.scores, start, frames.step, t, some, scratch)
        if not fine:
            return False
    return True


@subroutine
def _measure_log_probabilities(frames, first, end, powers):
    """As `measure`, of scores that are log-probabilities."""
    slots, em = frames.slots, frames.emissions
    for t in range(first, end):
        start, at = frames.origin + t * frames.step, t * slots
        top = gather_scores(frames.scores, start, frames.class_step, frames.classes_used, frames.used, em, at)
        if np.isnan(top):
            return False
        if top < -MASKED:  # every class that is read is masked
            top = 0.0
        for u in range(frames.used, slots):
            store_one(em, at + u, -np.inf)
        lowest = full_like(load(em, at), 0.0)
        for u in range(0, slots, LANES):
            x = _begin_exp_any(frames, powers, at + u, u, load(em, at + u) - full_like(lowest, top))
            lowest = minimum(lowest, maximum(x, load(frames.floor, u)))
        store_one(frames.depths, t, -LOG2E * reduce_min(lowest))
        _finish_exp_frame(frames, t, powers, 0)
        store_one(frames.tops, t, top)
        store_one(frames.rests, t, 0.0)
    return True


@inlined
def _multiply_excess(product, rest):
    """(1 + product) (1 + rest) - 1, as a sum of positive terms."""
    return product + rest * (1.0 + product)


@subroutine
def sum_largest_log_probabilities(frames):
    """The sum over frames of the largest log-probability.

    Others r_1, r_2, ... go into one logarithm as (1 + r_1) (1 + r_2) ... - 1, a sum of positive terms that keeps its
    digits where all of them are small. Four such products grow side by side: none waits for another.
    """
    found = 0.0
    if not frames.normalize:
        for t in range(frames.count):
            found += load_one(frames.tops, t)
        return found
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = frames.count - frames.count % 4
    for t in range(0, whole, 4):
        a, b = _multiply_excess(a, load_one(frames.rests, t)), _multiply_excess(b, load_one(frames.rests, t + 1))
        c, d = _multiply_excess(c, load_one(frames.rests, t + 2)), _multiply_excess(d, load_one(frames.rests, t + 3))
        if max(max(a, b), max(c, d)) > MANY:
            found -= math.log1p(_multiply_excess(_multiply_excess(a, b), _multiply_excess(c, d)))
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for t in range(whole, frames.count):
        a = _multiply_excess(a, load_one(frames.rests, t))
    return found - math.log1p(_multiply_excess(_multiply_excess(a, b), _multiply_excess(c, d)))


@inlined
def extended_emissions(d, slots, em, ee, start):
    """Write exp(d) of a frame as extended-exponent numbers."""
    for u in range(0, slots, LANES):
        x = load(d, u)
        masked = less(x, full_like(x, -MASKED))
        m, n = split_exp(select(masked, full_like(x, 0.0), x))
        m = select(masked, full_like(m, 0.0), m)
        store(em, start + u, mantissa_in_one_to_two(m))
        store(ee, start + u, binary_exponent(m, n, full_like(n, ZERO_EXPONENT)))


@inlined
def write_label_emissions_extended(em, ee, start, slot, first, last, pm, pe):
    """The emissions of labels first..last-1, from those of their classes."""
    for l in range(first, last):
        pm[l] = em[start + slot[l]]
        pe[l] = ee[start + slot[l]]
