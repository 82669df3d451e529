"""The gradient of some frames: (softmax - posterior) * weight, written once.

Where one class has most of the softmax and of the posterior, both terms of its entry are near 1, and their difference
loses its digits. There the entry is computed from the complements, each a sum of small positive terms:

    softmax - posterior = (1 - posterior) - (1 - softmax) = others' posteriors - others / (1 + others)
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
"""How far the sum of a frame's posteriors may be from 1, by rounding."""

RARE = 0.25
"""Below this sum of `others`, the frame's largest class is so likely that its entry is computed from complements."""


@inlined
def _likeliest_entry(frames, t, posterior, at, total, softmax):
    """The number of the class with most of frame t's posterior and softmax, and its entry; -1 and 0 if there is none.

    Without `softmax`, the posterior alone decides. `less_likely` adds, lane by lane, all posteriors but the largest of
    the lane, so that the largest of all never enters the sum of the others.
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
            # an emission of 1 marks the class with the largest score
            if not softmax or load_one(frames.emissions, t * frames.slots + u) == 1.0:
                most = select(equal(most, full_like(most, likeliest)), full_like(most, 0.0), most)
                unlikely = reduce_sum(less_likely + most)
                return u, unlikely / (unlikely + likeliest) - (rest / (1.0 + rest) if softmax else 1.0)
    return -1, 0.0


@inlined
def _write_entry(result, at, g, weight):
    """Write one entry: 0 if below the smallest normal float32; rounded to the result's type, then weighted."""
    store_one(result, at, g if abs(g) >= SMALLEST else 0.0)
    store_one(result, at, load_one(result, at) * weight)


@inlined
def _gradient_vector(frames, em, posterior, at, share, inverse, weight):
    """Eight entries: (softmax - posterior) * weight, rounded to the result's type before the weight."""
    p = load(frames.emissions, em) * share
    g = flush_tiny(convert_like(multiply_add(load(posterior, at), inverse, p), frames.result))
    return g * full_like(g, weight)


@subroutine
def write_gradient(frames, first, sense, many, posterior, totals, softmax, weight):
    """Write the gradient of `many` frames, first, first + sense, ...; unless `dense`, over their exponentials.

    Args:
        sense: 1, or -1 for the mirrored half of a row.
        posterior: (many, slots), not normalised.
        totals: (many,), the sum of each frame's posteriors.
        softmax: write softmax - posterior; otherwise -posterior.
        weight: the upstream gradient, of the result's type.

    Returns:
        whether the posteriors of each frame add up to 1 within TOLERANCE. If not, the entries are not valid.
    """
    slots, result, classes = frames.slots, frames.result, frames.classes
    # 1. the certificate of the backward pass: see `blocks.py`
    fine = True
    for i in range(many):
        fine &= abs(load_one(totals, i) - 1.0) <= TOLERANCE
    for i in range(many):
        t, at = first + sense * i, i * slots
        em, out = t * slots, frames.out + t * classes
        # 2. softmax of the largest class scales the exponentials; -1 / total normalises the posteriors
        total = load_one(totals, i)
        likely, small = _likeliest_entry(frames, t, posterior, at, total, softmax)
        largest = 1.0 / (1.0 + load_one(frames.rests, t)) if softmax else 0.0
        lanes = load(posterior, at)
        share, inverse = full_like(lanes, largest), full_like(lanes, -1.0 / total)
        if frames.dense:  # 3. all classes have numbers: entry by entry from emissions and posteriors
            whole = classes - classes % LANES
            for c in range(0, whole, LANES):
                store(result, out + c, _gradient_vector(frames, em + c, posterior, at + c, share, inverse, weight))
            if whole < classes:
                g = _gradient_vector(frames, em + whole, posterior, at + whole, share, inverse, weight)
                store_first(result, out + whole, g, classes - whole)
        else:  # 3. all classes become softmax, then those with a number are written again, less their posterior
            if softmax:
                distance = load_one(frames.tops, t) - load_one(frames.bottoms, t)
                exponentials_to_softmax(result, out, classes, largest, distance, weight)
            else:
                result[out : out + classes] = 0.0
            # from the last number to the first: slots without a class point to the blank, whose own number is 0
            for u in range(slots - LANES, -1, -LANES):
                g = _gradient_vector(frames, em + u, posterior, at + u, share, inverse, weight)
                scatter(result, out, load(frames.classes_used, u), g)
        if likely >= 0:  # 4. the class that has most of the frame
            _write_entry(result, out + load_one(frames.classes_used, likely), small, weight)
    return fine
