"""The emissions of each frame: its largest score, and the probabilities of the classes in use relative to it.

**Numbers and slots.** The recursion needs the classes of blank and target only, each once, however often the target
repeats it. These classes get numbers 0, 1, ...; a frame's emissions are computed by number and stored in slots, and
each label has the slot of its class. If most classes are in use, a class is its own number (`is_dense`). Then nothing
is gathered, and the same exponentials serve the softmax and the sums.

**Precision.** Emissions are exp(score - largest), in float64 for any type of scores. The softmax denominator uses these
float64 values for the classes in use: the sum over paths cancels against what the target's classes add to the
denominator, and for a confident model a thousandth of either may remain. Float32 exponentials are used only for the
classes that no path uses.

**The row's loss.** p(l|x) = product over frames of softmax(largest) * (sum over paths of products of emissions). The
first factor is 1 / (1 + others), where `others` is the sum of exp(score - largest) over all other classes.
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
"""Where a product grows beyond this, its logarithm is taken, before a product of four overflows."""
STRETCH = 512
"""Neighbouring classes whose exponentials are added up while they are in the cache."""


class Scratch(NamedTuple):
    """The scratch of `measure_frames`.

    Attributes:
        line: (classes,), one frame of scores that are not contiguous; exponentials: (TOGETHER or classes,).
        tops, origins, rounders, rests: (TOGETHER,), see `softmax.prepare_exponentials`. All have the scores' type.
        powers: (TOGETHER or slots,) float64, see `exponentials.reduce_near`.
    """

    line: np.ndarray
    exponentials: np.ndarray
    tops: np.ndarray
    origins: np.ndarray
    rounders: np.ndarray
    rests: np.ndarray
    powers: np.ndarray


class Frames(NamedTuple):
    """A row's frames: its scores, the classes in use, and what `measure_frames` writes about each frame.

    Attributes:
        scores, origin, step, class_step: the memory of the batch, the place of the row's first score in it, and the
            distance to the next frame and to the next class, in elements.
        count, classes: frames in use; all classes.
        normalize: as in the contract; dense: a class is its own number.
        used, slots: numbers in use; slots of a frame's emissions, at least one more, in whole vectors.
        classes_used: (slots,), the class of each number.
        floor: (slots,), -inf for slots of blank and target, else 0: a maximum with it leaves these classes alone.
        counted: (classes,), 1 for the classes without a number, else 0: a product with it leaves these classes alone.
        emissions: (count, slots), 0 in slots without a class.
        tops, bottoms: (count,), the largest and the smallest score. rests: (count,), `others`. depths: (count,), -log2
            of the smallest emission in use that is not 0.
        result, out: the gradient of the batch, and the place of the row's in it; keep: whether the exponentials of all
            classes are stored there first, for `gradient.write_gradient` to scale.
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
    """Whether a class is its own number; without the softmax, classes not in use are never read."""
    return normalize and classes <= 2 * (labels + 1)


@inlined
def number_classes(targets, labels, blank, classes, dense, seen, classes_used, floor, counted, slot):
    """Number the classes in use, the blank first unless `dense`; returns how many numbers there are.

    Args:
        targets, labels: the row's labels, and how many.
        seen: (classes,), scratch.
        classes_used, floor, counted: out, see `Frames`; slot: (labels,), out, the number of each label.
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
        for l in range(labels):  # clears the classes of the target alone: there may be 50,000 others
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
    """Write the scores of the classes in use to `d` from `at` on; returns the largest, NaN if one is NaN or +inf."""
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
    """score - largest of eight numbers from u on, in float64."""
    if frames.dense:
        return load_float64(scores, start + u) - most
    return gather_float64(scores, start, load(frames.classes_used, u)) - most


@inlined
def _load_last_distances(frames, scores, start, u, most):
    """The same for the last vector of a frame; lanes without a class hold the distance of another class."""
    if frames.dense:
        return load_first_float64(scores, start + u, frames.classes - u, load_one(scores, start)) - most
    return gather_float64(scores, start, load(frames.classes_used, u)) - most


@inlined
def _sizes_in_use(frames):
    """Slots of a frame that hold a class, slots in vectors with at least one, and slots in full vectors."""
    count = frames.classes if frames.dense else frames.used
    return count, (count + LANES - 1) // LANES * LANES, count // LANES * LANES


@inlined
def _begin_exp_near(frames, powers, em, at, x):
    """First half of the exponentials of distances within `NEAR`; returns the distances that count for the depth.

    The remainder goes to the emissions, the power of two to `powers`; `_finish_exp_frame` combines them.
    """
    r, power = reduce_near(frames.scores, x)
    store(frames.emissions, em, r)
    store(powers, at, power)
    return x


@inlined
def _begin_exp_any(frames, powers, em, at, x):
    """The same for any distances; masked classes return 0, because their emission is 0."""
    r, power = reduce_any(frames.scores, x)
    store(frames.emissions, em, r)
    store(powers, at, power)
    return select(less(x, full_like(x, -MASKED)), full_like(x, 0.0), x)


@inlined
def _begin_exp_frame(begin, frames, scores, start, t, powers, at):
    """First half of the exponentials of frame t, whose scores begin at `start`; writes the frame's depth."""
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
    """Second half of the exponentials of frame t; slots without a class become 0."""
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
    """Add a frame's emissions to its `others`: those below 1, and 1 for each class that ties with the largest.

    One class is the largest itself; it is not among the others. So the count of ties starts at -1.
    """
    em, (_, busy, _) = t * frames.slots, _sizes_in_use(frames)
    rest, ties = full_like(load(frames.emissions, em), 0.0), -1
    for u in range(0, busy, LANES):
        e, as_large = separate_ones(load(frames.emissions, em + u))
        rest, ties = rest + e, ties + as_large
    store_one(frames.rests, t, load_one(frames.rests, t) + reduce_sum(rest) + ties)


@inlined
def _sum_exponentials_not_in_use(frames, scores, start, step, first, some, scratch):
    """Add the exponentials of classes without a number to `others` of `some` frames, in the scores' own precision.

    They are stored where the gradient will be, if there is one. The sum skips the classes that have a number.
    """
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
    """Measure `some` frames from number `first` on, at start + i * step; whether all are finite.

    Each operation is done for all frames before the next operation. The frames are independent, so that a processor
    works on several at once instead of waiting for the last digits of one.
    """
    # 1. the largest and the smallest score
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
    # 2. classes without a number: exponentials in the scores' type, and their sum
    if not frames.dense:
        _sum_exponentials_not_in_use(frames, scores, start, step, first, some, scratch)
    # 3. classes in use: emissions in float64, in two halves; if no exponential can underflow, without masks
    for i in range(some):
        t, powers, at = first + i, scratch.powers, i * frames.slots
        if load_one(frames.tops, t) - load_one(frames.bottoms, t) < NEAR:
            _begin_exp_frame(_begin_exp_near, frames, scores, start + i * step, t, powers, at)
        else:
            _begin_exp_frame(_begin_exp_any, frames, scores, start + i * step, t, powers, at)
    for i in range(some):
        _finish_exp_frame(frames, first + i, scratch.powers, i * frames.slots)
    # 4. their sum
    for i in range(some):
        _sum_exponentials_in_use(frames, first + i)
    return True


@subroutine
def measure_frames(frames, first, end, scratch):
    """Write emissions, tops, bottoms, rests and depths of frames first..end-1; whether all frames are finite.

    A frame is not finite if a class that it reads is NaN or +inf, or if all classes are -inf and `normalize` is set.
    """
    if not frames.normalize:
        return _measure_log_probabilities(frames, first, end, scratch.powers)
    apart = frames.class_step != 1  # classes that are not neighbours are copied, frame by frame
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
    """`measure_frames` for scores that are log-probabilities: only the classes in use are read, `others` is 0."""
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
    """(1 + product) (1 + rest) - 1 as a sum of positive terms, so that small arguments keep their digits."""
    return product + rest * (1.0 + product)


@subroutine
def sum_largest_log_probabilities(frames):
    """The sum over frames of the largest log-probability, -log1p(others) each; without the softmax, of the top scores.

    One logarithm serves many frames: their others r_1, r_2, ... are multiplied as (1 + r_1) (1 + r_2) ... - 1, a sum of
    positive terms that keeps its digits where all r are small. Four products grow independently of each other, so that
    no multiplication waits for the one before.
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
    """Write exp(d) of a frame as extended-exponent numbers, masked classes as 0."""
    for u in range(0, slots, LANES):
        x = load(d, u)
        masked = less(x, full_like(x, -MASKED))
        m, n = split_exp(select(masked, full_like(x, 0.0), x))
        m = select(masked, full_like(m, 0.0), m)
        store(em, start + u, mantissa_in_one_to_two(m))
        store(ee, start + u, binary_exponent(m, n, full_like(n, ZERO_EXPONENT)))


@inlined
def write_label_emissions_extended(em, ee, start, slot, first, last, pm, pe):
    """Write the emissions of labels first..last-1, from those of their classes, as extended-exponent numbers."""
    for l in range(first, last):
        pm[l] = em[start + slot[l]]
        pe[l] = ee[start + slot[l]]
