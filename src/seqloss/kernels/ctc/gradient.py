"""The gradient of a few frames: softmax less posterior, times a weight, written once.

Where a class has most of the softmax and of the posterior, both terms of its entry may be near 1, and 1 - 1e-9 keeps
few of the digits of 1e-9. There the difference is taken between the complements, sums of the others' small terms.
"""

from __future__ import annotations

from seqloss.contract import SMALLEST
from seqloss.kernels.ctc.layout import LANES
from seqloss.kernels.numba.compilation import inlined, part
from seqloss.kernels.numba.softmax import not_tiny, scale
from seqloss.kernels.numba.vectors import (
    converted,
    equal,
    fold_max,
    fold_sum,
    like,
    load,
    maximum,
    minimum,
    multiply_add,
    pick,
    put,
    put_each,
    select,
    store,
    store_first,
)

TOLERANCE = 1e-9
"""What the posteriors of a frame may add up to beside 1, by rounding."""

RARE = 0.25
"""Others that add up to less leave the frame's largest class so sure that its entry is taken by complements."""


@inlined
def _sure(frames, t, posterior, at, total, softmax):
    """The number of frame t's class that has most of the posterior and, with `softmax`, of the softmax, and its entry.

    -1 if none has.
    """
    rest = pick(frames.rests, t) if softmax else 0.0
    if rest < RARE:
        most = load(posterior, at)
        less_likely = like(most, 0.0)
        for u in range(LANES, frames.slots, LANES):
            p = load(posterior, at + u)
            less_likely = less_likely + minimum(most, p)
            most = maximum(most, p)
        likeliest = fold_max(most)
        if 2.0 * likeliest > total:
            u = 0
            while pick(posterior, at + u) != likeliest:
                u += 1
            if not softmax or pick(frames.emissions, t * frames.slots + u) == 1.0:
                most = select(equal(most, like(most, likeliest)), like(most, 0.0), most)
                unlikely = fold_sum(less_likely + most)
                return u, unlikely / (unlikely + likeliest) - (rest / (1.0 + rest) if softmax else 1.0)
    return -1, 0.0


@inlined
def _write(result, at, g, weight):
    put(result, at, g if abs(g) >= SMALLEST else 0.0)
    put(result, at, pick(result, at) * weight)


@inlined
def _entries(frames, em, posterior, at, share, inverse, weight):
    """Eight entries: softmax less posterior, times a weight."""
    p = load(frames.emissions, em) * share
    g = not_tiny(converted(multiply_add(load(posterior, at), inverse, p), frames.result))
    return g * like(g, weight)


@part
def write_gradient(frames, first, sense, many, posterior, totals, softmax, weight):
    """Write the gradient of some frames, `many` from `first` on, where their exponentials stand unless `dense`.

    Numbers are written from the last to the first: those that stand for no class have blank's place, and blank's own
    number is 0.

    Args:
        sense: how far one frame is from the next, 1 or -1.
        posterior: (many, slots), not normalised.
        totals: (many,), each frame's posteriors, added up.
        softmax: subtract from the softmax, or from 0.
        weight: what comes from upstream, of the result's type.

    Returns:
        whether the posteriors of each frame add up to 1, within TOLERANCE; if not, none may be written.
    """
    slots, result, classes = frames.slots, frames.result, frames.classes
    fine = True
    for i in range(many):
        fine &= abs(pick(totals, i) - 1.0) <= TOLERANCE
    for i in range(many):
        t, at = first + sense * i, i * slots
        em, out = t * slots, frames.out + t * classes
        total = pick(totals, i)
        likely, small = _sure(frames, t, posterior, at, total, softmax)
        largest = 1.0 / (1.0 + pick(frames.rests, t)) if softmax else 0.0
        lanes = load(posterior, at)
        share, inverse = like(lanes, largest), like(lanes, -1.0 / total)
        if frames.dense:
            whole = classes - classes % LANES
            for c in range(0, whole, LANES):
                store(result, out + c, _entries(frames, em + c, posterior, at + c, share, inverse, weight))
            if whole < classes:
                g = _entries(frames, em + whole, posterior, at + whole, share, inverse, weight)
                store_first(result, out + whole, g, classes - whole)
        else:
            if softmax:
                distance = pick(frames.tops, t) - pick(frames.bottoms, t)
                scale(result, out, classes, largest, distance, weight)
            else:
                result[out : out + classes] = 0.0
            for u in range(slots - LANES, -1, -LANES):
                g = _entries(frames, em + u, posterior, at + u, share, inverse, weight)
                put_each(result, out, load(frames.classes_used, u), g)
        if likely >= 0:
            _write(result, out + pick(frames.classes_used, likely), small, weight)
    return fine
