"""One frame of the gradient: softmax less posterior, times a weight, written once.

Where a class has most of the softmax and of the posterior, both terms of its entry may be near 1, and 1 - 1e-9 keeps
few of the digits of 1e-9. There the difference is taken between the complements, sums of the others' small terms.
"""

from __future__ import annotations

from seqloss.contract import SMALLEST
from seqloss.kernels.compiled import inlined
from seqloss.kernels.layout import LANES
from seqloss.kernels.softmax import not_tiny, scale
from seqloss.kernels.vectors import converted, fold_max, fold_sum, like, load, maximum, pick, put, store, store_first

RARE = 0.25
"""Others that add up to less leave the frame's largest class so sure that its entry is taken by complements."""


@inlined
def _sum(posterior, start, slots):
    added = load(posterior, start)
    for u in range(LANES, slots, LANES):
        added = added + load(posterior, start + u)
    return fold_sum(added)


@inlined
def _most(posterior, start, slots):
    most = load(posterior, start)
    for u in range(LANES, slots, LANES):
        most = maximum(most, load(posterior, start + u))
    return fold_max(most)


@inlined
def _write(result, at, g, weight):
    put(result, at, g if abs(g) >= SMALLEST else 0.0)
    put(result, at, pick(result, at) * weight)


@inlined
def write_gradient(
    result, start, classes, dense, classes_used, count, slots, em, at, posterior, from_, rest, softmax, weight
):  # fmt: skip
    """Write the frame at `start` of `result`, where its exponentials stand unless `dense`; return the posteriors' sum.

    Args:
        em: the emissions, those of the frame from `at` on.
        posterior: those of the frame from `from_` on, not normalised, overwritten.
        rest: the frame's `others`; softmax: subtract from the softmax, or from 0.
        weight: what comes from upstream, of the result's type.
    """
    total = _sum(posterior, from_, slots)
    likely, small = -1, 0.0
    if softmax and rest < RARE:
        most = _most(posterior, from_, slots)
        if 2.0 * most > total:
            u = 0
            while pick(posterior, from_ + u) != most:
                u += 1
            if pick(em, at + u) == 1.0:
                likely = u
                put(posterior, from_ + u, 0.0)
                unlikely = _sum(posterior, from_, slots)
                small = unlikely / (unlikely + most) - rest / (1.0 + rest)
    first = load(posterior, from_)
    share, inverse = like(first, (1.0 / (1.0 + rest)) if softmax else 0.0), like(first, 1.0 / total)
    if dense:
        for c in range(0, classes, LANES):
            g = converted(not_tiny(load(em, at + c) * share - load(posterior, from_ + c) * inverse), result)
            g = g * like(g, weight)
            if c + LANES <= classes:
                store(result, start + c, g)
            else:
                store_first(result, start + c, g, classes - c)
        if likely >= 0:
            _write(result, start + likely, small, weight)
        return total
    if softmax:
        scale(result, start, classes, 1.0 / (1.0 + rest), weight)
    else:
        result[start : start + classes] = 0.0
    for u in range(0, slots, LANES):
        store(posterior, from_ + u, load(em, at + u) * share - load(posterior, from_ + u) * inverse)
    if likely >= 0:
        put(posterior, from_ + likely, small)
    for u in range(count):
        _write(result, start + pick(classes_used, u), pick(posterior, from_ + u), weight)
    return total
