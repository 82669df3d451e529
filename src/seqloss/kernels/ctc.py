"""CTC on the CPU: loss and gradient of every row of a batch, from scores, in one call.

A target l_1..l_L is read through 2L + 1 states: a blank before each label, the labels, a blank at the end.
Label states `a` and blank states `b` are kept apart, so that one shift by a label is the only operand that
crosses lanes:

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

A virtual frame before the first holds all mass on b[0]; one after the last holds it on b[L]; so all frames
are alike. Sums are wide numbers (`wide.py`): mantissas in one array, exponents in another. Graves' alpha is
(a, b); his beta, here without the frame's own emission, runs backward over y = beta * p of the frame after.
The posterior of a state is alpha * beta over the sum of all of them in that frame, so that drift over
thousands of frames cancels, and the gradient of the loss is softmax - posterior. Where a posterior is near 1,
that difference is taken between the complements, each summed from its small terms.

A row is computed alone and in one order of operations: its bits depend on nothing else in the batch.

Emissions are taken relative to their frame's largest score, in float64; log p(largest) is summed apart. A
float32 row uses float32 sums, except where 32-bit exponents might wrap (`Path.WIDE`) and where the loss is so
small that float32's rounding would show in it (`Path.SMALL`: the gradient stays in float32, the loss is
summed again in float64).
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from seqloss.contract import MASKED, SMALLEST
from seqloss.kernels.compiled import inlined, kernel, part
from seqloss.kernels.exponential import split_exp
from seqloss.kernels.softmax import others, peak, write_softmax
from seqloss.kernels.vectors import (
    any_lane,
    binary_exponent,
    converted,
    fold_max,
    fold_sum,
    fraction,
    lanes,
    less,
    like,
    load,
    maximum,
    power_of_two,
    select,
    store,
)
from seqloss.kernels.wide import add, fits_narrow, normalise, nothing


class Path:
    """What happened to a row (the kernel's `paths` output)."""

    NARROW = 0  # sums in the scores' own precision
    WIDE = 1  # a float32 row in float64 sums, its exponents being too large for 32 bits
    SMALL = 2  # a float32 row whose small loss was summed again in float64
    INFEASIBLE = 3  # no path of positive probability fits
    POISONED = 4  # NaN, +inf or nothing but -inf in a frame in use
    REFUSED = 5  # a label or a length that breaks the contract (met with validate=False alone)


NARROW, WIDE, SMALL = Path.NARROW, Path.WIDE, Path.SMALL
INFEASIBLE, POISONED, REFUSED = Path.INFEASIBLE, Path.POISONED, Path.REFUSED

SMALL_LOSS = 2.0**-6
"""Nats a frame. Float32 sums err by under 2^-23 a frame, so above this the loss is right to 2^-17 at the very worst
and to a few roundings in practice; below it, it is summed in float64."""

LN2 = math.log(2.0)
LANES = (16, 8)
SLOT_STEP = 8


@register_jitable
def _section(labels, width):
    """Elements of one frame's states: an empty chunk, then those of labels 0..L; the next row's empty chunk ends it."""
    return (labels // width + 2) * width


@register_jitable
def workspace_size(frames, labels, count, width, keep):
    """Elements that a row's sums need, of mantissas and of exponents each, for `count` classes in use."""
    rows = frames + 1 if keep else 2
    return frames * _slots_size(count) + (2 * rows + 7) * _section(labels, width) + 4 * width


@register_jitable
def _slots_size(count):
    """Elements of one frame's emissions: the classes in use, at least one that is empty, in whole vectors."""
    return (count // SLOT_STEP + 1) * SLOT_STEP


@inlined
def _slots(targets, labels, blank, seen, classes_used, slot):
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
def _emissions(d, slots, em, ee, start, zero):
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
def _spread(em, ee, start, slot, first, last, pm, pe):
    """The emissions of labels first..last-1, from those of their classes."""
    for l in range(first, last):
        pm[l] = em[start + slot[l]]
        pe[l] = ee[start + slot[l]]


@inlined
def _clear(m, e, position, zero):
    blank_m = load(m, position)
    blank_e = load(e, position)
    store(m, position, like(blank_m, 0.0))
    store(e, position, like(blank_e, zero))


@inlined
def _range(t, frames, labels, width):
    """First and last chunk of labels that frame t (from 1) can reach and can still end from."""
    low = labels - 1 - (frames - t)
    high = min(labels, t - 1)
    return max(low, 0) // width, high // width


@part
def _forward(frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, row_size, keep):
    """Fill the forward sums, (frames + 1, row_size) if `keep`, else in two rows by turns."""
    width = lanes(am)
    zero = nothing(ae)
    for at in (0, width, 2 * width):
        _clear(am, ae, at, zero)
        _clear(bm, be, at, zero)
    bm[width] = 1.0
    be[width] = 0
    for t in range(1, frames + 1):
        first, last = _range(t, frames, labels, width)
        _spread(em, ee, (t - 1) * slots, slot, first * width, (last + 1) * width, pm, pe)
        before = (t - 1 if keep else (t - 1) & 1) * row_size + width
        here = (t if keep else t & 1) * row_size + width
        one = load(pm, 0)
        blank_m = like(one, em[(t - 1) * slots])
        blank_e = like(load(pe, 0), ee[(t - 1) * slots])
        none = like(blank_e, zero)
        for at in ((first - 1) * width, (last + 1) * width):
            _clear(am, ae, here + at, zero)
            _clear(bm, be, here + at, zero)
        for c in range(first, last + 1):
            l = c * width
            previous_m = load(am, before + l - 1)
            previous_e = load(ae, before + l - 1)
            b_m = load(bm, before + l)
            b_e = load(be, before + l)
            m, e = add(b_m, b_e, previous_m, previous_e)
            m, e = normalise(m * blank_m, e + blank_e, none)
            store(bm, here + l, m)
            store(be, here + l, e)
            open_ = less(none, load(skip, l))
            m, e = add(
                b_m,
                b_e,
                select(open_, previous_m, like(b_m, 0.0)),
                select(open_, previous_e, none),
            )
            m, e = add(m, e, load(am, before + l), load(ae, before + l))
            m, e = normalise(m * load(pm, l), e + load(pe, l), none)
            store(am, here + l, m)
            store(ae, here + l, e)


@inlined
def _total(frames, labels, am, ae, bm, be, row_size, keep):
    """The sum over all paths, last label or last blank in the last frame: a mantissa (0 if none) and an exponent."""
    width = lanes(am)
    at = (frames if keep else frames & 1) * row_size + width + labels
    m, e = np.float64(bm[at]), np.int64(be[at])
    if labels > 0 and am[at - 1] > 0.0:
        m2, e2 = np.float64(am[at - 1]), np.int64(ae[at - 1])
        if m == 0.0:
            m, e = m2, e2
        else:
            top = max(e, e2)
            m = math.ldexp(m, np.int32(max(e - top, -2000))) + math.ldexp(m2, np.int32(max(e2 - top, -2000)))
            e = top
    return m, e


@inlined
def _log(m, e):
    """ln(m * 2^e), right to its last digits near 1."""
    if -2 <= e <= 1:
        return math.log1p(math.ldexp(m, np.int32(e)) - 1.0)
    return math.log(m) + e * LN2


@inlined
def _subtract_posterior(result, start, classes_used, count, posterior, tops, t, normalize):
    """Turn a frame's softmax into the gradient: softmax - posterior, at the classes of blank and target."""
    best = 0
    for u in range(1, count):
        if posterior[u] > posterior[best]:
            best = u
    rest = 0.0
    for u in range(count):
        if u != best:
            rest += posterior[u]
    total = rest + posterior[best]
    for u in range(count):
        at = start + classes_used[u]
        probability = np.float64(result[at])
        if normalize and u == best and rest < posterior[best]:
            other = tops[2 * t + 1] / (1.0 + tops[2 * t + 1]) if probability > 0.5 else 1.0 - probability
            g = rest / total - other
        else:
            g = probability - posterior[u] / total
        result[at] = g if abs(g) >= SMALLEST else 0.0


@part
def _backward(
    scores, result, origin, classes, frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be,
    row_size, ym, ye, zm, ze, q, top_e, classes_used, count, posterior, tops, normalize,
):  # fmt: skip
    """Run beta backward and write the gradient, frame by frame."""
    width = lanes(am)
    zero = nothing(ae)
    for at in range(0, 2 * row_size + width, width):
        _clear(ym, ye, at, zero)
        _clear(zm, ze, at, zero)
    after = ((frames + 1) & 1) * row_size + width
    zm[after + labels] = 1.0
    ze[after + labels] = 0
    for t in range(frames, 0, -1):
        first, last = _range(t, frames, labels, width)
        _spread(em, ee, (t - 1) * slots, slot, first * width, (last + 1) * width, pm, pe)
        after = ((t + 1) & 1) * row_size + width
        here = (t & 1) * row_size + width
        forward = t * row_size + width
        one = load(pm, 0)
        blank_m = like(one, em[(t - 1) * slots])
        blank_e = like(load(pe, 0), ee[(t - 1) * slots])
        none = like(blank_e, zero)
        total_e = like(blank_e, top_e)
        blanks = like(one, 0.0)
        for u in range(count):
            posterior[u] = 0.0
        for at in ((first - 1) * width, (last + 1) * width):
            _clear(ym, ye, here + at, zero)
            _clear(zm, ze, here + at, zero)
        for c in range(first, last + 1):
            l = c * width
            y_m, y_e = load(ym, after + l), load(ye, after + l)
            m, e = add(load(zm, after + l), load(ze, after + l), y_m, y_e)
            m, e = normalise(m, e, none)
            blanks = blanks + load(bm, forward + l) * m * power_of_two(m, load(be, forward + l) + e - total_e)
            store(zm, here + l, m * blank_m)
            store(ze, here + l, e + blank_e)
            open_ = less(none, load(skip, l + 1))
            m, e = add(
                load(zm, after + l + 1),
                load(ze, after + l + 1),
                select(open_, load(ym, after + l + 1), like(m, 0.0)),
                select(open_, load(ye, after + l + 1), none),
            )
            m, e = add(m, e, y_m, y_e)
            m, e = normalise(m, e, none)
            p = load(am, forward + l) * m * power_of_two(m, load(ae, forward + l) + e - total_e)
            store(ym, here + l, m * load(pm, l))
            store(ye, here + l, e + load(pe, l))
            if any_lane(less(like(p, 0.0), p)):
                store(q, 0, p)
                for lane in range(min(width, labels - l)):
                    posterior[slot[l + lane]] += np.float64(q[lane])
        posterior[0] += np.float64(fold_sum(blanks))
        start = origin + (t - 1) * classes
        if normalize:
            write_softmax(scores, start, classes, tops[2 * (t - 1)], tops[2 * (t - 1) + 1], result)
        else:
            result[start : start + classes] = 0.0
        _subtract_posterior(result, start, classes_used, count, posterior, tops, t - 1, normalize)


@part
def _path_sums(
    scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops, d,
    m, e, normalize, gradient,
):  # fmt: skip
    """Emissions, forward and, if asked, backward and gradient, in the precision of the workspace m, e.

    Returns the sum over all paths, relative to the frames' largest scores, as a mantissa and an exponent; and
    whether the exponents were wide enough (if not, nothing else was computed).
    """
    width = lanes(m)
    zero = nothing(e)
    size, slots = _section(labels, width), _slots_size(count)
    kept = (frames + 1 if gradient else 2) * size + width
    turns = 2 * size + width
    em, ee = m[: frames * slots], e[: frames * slots]
    m, e = m[frames * slots :], e[frames * slots :]
    pm, pe = m[:size], e[:size]
    q, skip = m[size : 2 * size], e[size : 2 * size]
    m, e = m[2 * size :], e[2 * size :]
    ym, ye = m[:turns], e[:turns]
    zm, ze = m[turns : 2 * turns], e[turns : 2 * turns]
    m, e = m[2 * turns :], e[2 * turns :]
    am, ae = m[:kept], e[:kept]
    bm, be = m[kept:], e[kept:]
    for l in range(size):
        skip[l] = 1 if 0 < l < labels and targets[l] != targets[l - 1] else zero
    for u in range(count, slots):
        d[u] = -np.inf
    depth = 0.0
    for t in range(frames):
        for u in range(count):
            d[u] = np.float64(scores[origin + t * classes + classes_used[u]]) - tops[2 * t]
        depth += _emissions(d, slots, em, ee, t * slots, zero)
    if width == LANES[0] and not fits_narrow(depth, frames):
        return 0.0, 0, False
    _forward(frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, size, gradient)
    total_m, total_e = _total(frames, labels, am, ae, bm, be, size, gradient)
    if gradient and total_m > 0.0:
        _backward(
            scores, result, origin, classes, frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm,
            be, size, ym, ye, zm, ze, q, total_e, classes_used, count, posterior, tops, normalize,
        )  # fmt: skip
    return total_m, total_e, True


@part
def _frames(scores, origin, classes, frames, classes_used, count, d, tops, normalize):
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


@part
def _admissible(targets, labels, frames, time, classes, blank):
    """Whether lengths and labels keep the contract; the caller's own check, where nobody checked before."""
    if labels < 0 or labels > targets.shape[0] or frames < 0 or frames > time:
        return False
    for l in range(labels):
        if targets[l] < 0 or targets[l] >= classes or targets[l] == blank:
            return False
    return True


@part
def _row(
    scores, result, origin, time, classes, targets, frames, labels, blank, normalize, gradient,
    m, e, floats, integers,
):  # fmt: skip
    """Loss and path of one row; its gradient in `result`, of which the caller has cleared what is not in use."""
    if not _admissible(targets, labels, frames, time, classes, blank):
        return np.nan, REFUSED
    widest = _section(labels, LANES[0])
    seen, integers = integers[:classes], integers[classes:]
    slot, classes_used = integers[:widest], integers[widest:]
    count = _slots(targets, labels, blank, seen, classes_used, slot)
    slot[labels:] = count
    slots = _slots_size(count)
    posterior, d, tops = floats[:slots], floats[slots : 2 * slots], floats[2 * slots :]
    certain = _frames(scores, origin, classes, frames, classes_used, count, d, tops, normalize)
    if np.isnan(certain):
        return np.nan, POISONED
    repeats = 0
    for l in range(1, labels):
        repeats += targets[l] == targets[l - 1]
    if frames < labels + repeats:
        return np.inf, INFEASIBLE
    path = NARROW
    total_m, total_e, fits = _path_sums(
        scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops,
        d, m, e, normalize, gradient,
    )  # fmt: skip
    if not fits:
        path = WIDE
        total_m, total_e, fits = _wide_sums(
            scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior,
            tops, d, normalize, gradient,
        )  # fmt: skip
    if total_m == 0.0:
        return np.inf, INFEASIBLE
    loss = -(certain + _log(total_m, total_e)) + 0.0  # never -0.0
    if path == NARROW and lanes(m) == LANES[0] and abs(loss) < SMALL_LOSS * frames:
        path = SMALL
        total_m, total_e, fits = _wide_sums(
            scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior,
            tops, d, normalize, False,
        )  # fmt: skip
        loss = -(certain + _log(total_m, total_e))
    if normalize:
        loss = loss if loss >= SMALLEST else 0.0
    return loss, path


@part
def _wide_sums(
    scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops, d,
    normalize, gradient,
):  # fmt: skip
    """`_path_sums` in float64 with 64-bit exponents, in a workspace of its own."""
    size = workspace_size(frames, labels, count, LANES[1], gradient)
    return _path_sums(
        scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops,
        d, np.empty(size, np.float64), np.empty(size, np.int64), normalize, gradient,
    )  # fmt: skip


@kernel
def rows(
    scores, time, classes, targets, logit_lengths, target_lengths, blank, normalize, gradient, first, step,
    losses, paths, result, m, e, floats, integers,
):  # fmt: skip
    """Rows first, first + step, ... of a batch.

    Args:
        scores: (batch * time * classes,) float32 or float64, contiguous.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        losses: (batch,) float64, out; paths: (batch,) int64, out: see `Path`.
        result: the gradient, as scores, out; empty unless `gradient`.
        m, e, floats, integers: workspace, see `seqloss.kernels.workspace`.
    """
    for n in range(first, logit_lengths.shape[0], step):
        origin = n * time * classes
        frames = logit_lengths[n]
        loss, path = _row(
            scores, result, origin, time, classes, targets[n], frames, target_lengths[n], blank, normalize,
            gradient, m, e, floats, integers,
        )  # fmt: skip
        losses[n] = loss
        paths[n] = path
        if gradient:
            used = min(max(frames, 0), time) * classes
            if path == INFEASIBLE:
                result[origin : origin + used] = 0.0
            elif path == POISONED or path == REFUSED:
                result[origin : origin + used] = np.nan
            result[origin + used : origin + time * classes] = 0.0
