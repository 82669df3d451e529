"""What each frame gives to a row's sums: its largest score, and the probabilities of the classes in use.

Only the classes of blank and target are needed, each once however often the target repeats it: they are numbered, a
frame's probabilities are computed by number, and labels look theirs up (`spread`).
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.contract import MASKED
from seqloss.kernels.compiled import inlined, part
from seqloss.kernels.exponential import split_exp
from seqloss.kernels.layout import SLOT_STEP
from seqloss.kernels.softmax import others, peak
from seqloss.kernels.vectors import (
    binary_exponent,
    converted,
    fold_max,
    fraction,
    less,
    like,
    load,
    maximum,
    select,
    store,
)

LN2 = math.log(2.0)


@inlined
def number_classes(targets, labels, blank, seen, classes_used, slot):
    """Number the distinct classes of blank and target: returns how many; `slot[l]` is the number of label l's."""
    seen[blank] = 0
    classes_used[0] = blank
    for l in range(labels):
        seen[targets[l]] = -1
    count = 1
    for l in range(labels):
        c = targets[l]
        if seen[c] < 0:
            seen[c] = count
            classes_used[count] = c
            count += 1
        slot[l] = seen[c]
    return count


@inlined
def _scores_used(scores, start, classes_used, count, d):
    """The scores of the classes in use; their largest, or NaN if one of them is NaN or +inf."""
    top = -np.inf
    wrong = False
    for u in range(count):
        x = np.float64(scores[start + classes_used[u]])
        wrong |= not (x < np.inf)
        top = x if x > top else top
        d[u] = x
    return np.nan if wrong else top


@inlined
def emissions(d, slots, em, ee, start, zero):
    """Write exp(d) of a frame as wide numbers; return the largest exponent's size among those that are not zero."""
    depth = like(load(d, 0), 0.0)
    u = 0
    while u < slots:
        x = load(d, u)
        masked = less(x, like(x, -MASKED))
        x = select(masked, like(x, 0.0), x)
        m, n = split_exp(x)
        m = select(masked, like(m, 0.0), m)
        depth = maximum(depth, like(x, 0.0) - x)
        narrow = converted(m, em)
        e = converted(n, ee)
        store(em, start + u, fraction(narrow))
        store(ee, start + u, binary_exponent(narrow, e, like(e, zero)))
        u += SLOT_STEP
    return fold_max(depth) / LN2 + 1.0


@inlined
def spread(em, ee, start, slot, first, last, pm, pe):
    """The emissions of labels first..last-1, from those of their classes."""
    for l in range(first, last):
        pm[l] = em[start + slot[l]]
        pe[l] = ee[start + slot[l]]


@part
def peaks(scores, origin, classes, frames, classes_used, count, d, tops, normalize):
    """Largest score and `others` of each frame into `tops`; the sum of log p(largest), NaN if a frame is poisoned."""
    certain = 0.0
    for t in range(frames):
        start = origin + t * classes
        if normalize:
            top = peak(scores, start, classes)
            if not (top > -np.inf):
                return np.nan
            rest = others(scores, start, classes, top)
            certain -= math.log1p(rest)
        else:
            top = _scores_used(scores, start, classes_used, count, d)
            if np.isnan(top):
                return np.nan
            if top < -MASKED:  # every class that is read is masked
                top = 0.0
            rest = 0.0
            certain += top
        tops[2 * t] = top
        tops[2 * t + 1] = rest
    return certain
