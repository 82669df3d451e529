"""The gradient of a few frames: softmax less posterior, times a weight, written once.

Where a class has most of the softmax and of the posterior, both terms of its entry may be near 1, and 1 - 1e-9 keeps
few of the digits of 1e-9. There the difference is taken between the complements, sums of the others' small terms.
"""

from __future__ import annotations

from seqloss.contract import SMALLEST
from seqloss.kernels.ctc.layout import LANES
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.softmax import exponentials_to_softmax, flush_tiny
from seqloss.kernels.numba.vectors import (
    convert_like,
    equal,
    full_like,
    load,
    load_one,
    maximum,
    minimum,
    multiply_add,
    reduce_max,
    reduce_sum,
    scatter,
    select,
    store,
    store_first,
    store_one,
)

TOLERANCE = 1e-9
"""What the posteriors of a frame may add up to beside 1, by rounding."""

RARE = 0.25
"""Others that add up to less leave the frame's largest class so sure that its entry is taken by complements."""


@inlined
def _likeliest_entry(frames, t, posterior, at, total, softmax):
    """The number of frame t's class that has most of the posterior and, with `softmax`, of the softmax, and its entry.

    -1 if none has.
    """
    rest = load_one(frames.rests, t) if softmax else 0.0
    if rest < RARE:
        most = load(posterior, at)
        less_likely = full_like(most, 0.0)
        for u in range(LANES, frames.slots, LANES):
            p = load(posterior, at + u)
            less_likely = less_likely + minimum(most, p)
            most = maximum(most, p)
        likeliest = reduce_max(most)
        if 2.0 * likeliest > total:
            u = 0
            while load_one(posterior, at + u) != likeliest:
                u += 1
            if not softmax or load_one(frames.emissions, t * frames.slots + u) == 1.0:
                most = select(equal(most, full_like(most, likeliest)), full_like(most, 0.0), most)
                unlikely = reduce_sum(less_likely + most)
                return u, unlikely / (unlikely + likeliest) - (rest / (1.0 + rest) if softmax else 1.0)
    return -1, 0.0


@inlined
def _write_entry(result, at, g, weight):
    store_one(result, at, g if abs(g) >= SMALLEST else 0.0)
    store_one(result, at, load_one(result, at) * weight)


@inlined
def _gradient_vector(frames, em, posterior, at, share, inverse, weight):
    """Eight entries: softmax less posterior, times a weight."""
    p = load(frames.emissions, em) * share
    g = flush_tiny(convert_like(multiply_add(load(posterior, at), inverse, p), frames.result))
    return g * full_like(g, weight)


@subroutine
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
        fine &= abs(load_one(totals, i) - 1.0) <= TOLERANCE
    for i in range(many):
        t, at = first + sense * i, i * slots
        em, out = t * slots, frames.out + t * classes
        total = load_one(totals, i)
        likely, small = _likeliest_entry(frames, t, posterior, at, total, softmax)
        largest = 1.0 / (1.0 + load_one(frames.rests, t)) if softmax else 0.0
        lanes = load(posterior, at)
        share, inverse = full_like(lanes, largest), full_like(lanes, -1.0 / total)
        if frames.dense:
            whole = classes - classes % LANES
            for c in range(0, whole, LANES):
                store(result, out + c, _gradient_vector(frames, em + c, posterior, at + c, share, inverse, weight))
            if whole < classes:
                g = _gradient_vector(frames, em + whole, posterior, at + whole, share, inverse, weight)
                store_first(result, out + whole, g, classes - whole)
        else:
            if softmax:
                distance = load_one(frames.tops, t) - load_one(frames.bottoms, t)
                exponentials_to_softmax(result, out, classes, largest, distance, weight)
            else:
                result[out : out + classes] = 0.0
            for u in range(slots - LANES, -1, -LANES):
                g = _gradient_vector(frames, em + u, posterior, at + u, share, inverse, weight)
                scatter(result, out, load(frames.classes_used, u), g)
        if likely >= 0:
            _write_entry(result, out + load_one(frames.classes_used, likely), small, weight)
    return fine
