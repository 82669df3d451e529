"""CTC on the CPU: loss and gradient of every row of a batch, from scores, in one call.

What each frame gives to the sums is in `emissions.py`, the sums over paths and the gradient in `recursion.py`; here
they become one row, and rows a batch.

A row is computed alone and in one order of operations: its bits depend on nothing else in the batch.

A float32 row uses float32 sums, except where 32-bit exponents might wrap (`Path.WIDE`) and where the loss is so
small that float32's rounding would show in it (`Path.SMALL`: the gradient stays in float32, the loss is
summed again in float64).
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.compiled import kernel, part
from seqloss.kernels.emissions import emissions, number_classes, peaks
from seqloss.kernels.layout import LANES, section, slots_size, workspace_size
from seqloss.kernels.recursion import backward, forward, log, total
from seqloss.kernels.vectors import lanes
from seqloss.kernels.wide import fits_narrow, nothing


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


@part
def _path_sums(
    scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops, d,
    m, e, softmax, gradient,
):  # fmt: skip
    """Emissions, forward and, if asked, backward and gradient, in the precision of the workspace m, e.

    Returns the sum over all paths, relative to the frames' largest scores, as a mantissa and an exponent; and
    whether the exponents were wide enough (if not, nothing else was computed).
    """
    width = lanes(m)
    zero = nothing(e)
    size, slots = section(labels, width), slots_size(count)
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
        depth += emissions(d, slots, em, ee, t * slots, zero)
    if width == LANES[0] and not fits_narrow(depth, frames):
        return 0.0, 0, False
    forward(frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, size, gradient)
    total_m, total_e = total(frames, labels, am, ae, bm, be, size, gradient)
    if gradient and total_m > 0.0:
        backward(
            scores, result, origin, classes, frames, labels, slot, slots, skip, em, ee, pm, pe, am, ae, bm,
            be, size, ym, ye, zm, ze, q, total_e, classes_used, count, posterior, tops, softmax,
        )  # fmt: skip
    return total_m, total_e, True


@part
def admissible(targets, labels, frames, time, classes, blank):
    """Whether lengths and labels keep the contract; the caller's own check, where nobody checked before."""
    if labels < 0 or labels > targets.shape[0] or frames < 0 or frames > time:
        return False
    for l in range(labels):
        if targets[l] < 0 or targets[l] >= classes or targets[l] == blank:
            return False
    return True


@part
def _row(
    scores, result, origin, time, classes, targets, frames, labels, blank, normalize, softmax, gradient,
    m, e, floats, integers,
):  # fmt: skip
    """Loss and path of one row; its gradient in `result`, of which the caller has cleared what is not in use."""
    if not admissible(targets, labels, frames, time, classes, blank):
        return np.nan, REFUSED
    widest = section(labels, LANES[0])
    seen, integers = integers[:classes], integers[classes:]
    slot, classes_used = integers[:widest], integers[widest:]
    count = number_classes(targets, labels, blank, seen, classes_used, slot)
    slot[labels:] = count
    slots = slots_size(count)
    posterior, d, tops = floats[:slots], floats[slots : 2 * slots], floats[2 * slots :]
    certain = peaks(scores, origin, classes, frames, classes_used, count, d, tops, normalize)
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
        d, m, e, softmax, gradient,
    )  # fmt: skip
    if not fits:
        path = WIDE
        total_m, total_e, fits = _wide_sums(
            scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior,
            tops, d, softmax, gradient,
        )  # fmt: skip
    if total_m == 0.0:
        return np.inf, INFEASIBLE
    loss = -(certain + log(total_m, total_e)) + 0.0  # never -0.0
    if path == NARROW and lanes(m) == LANES[0] and abs(loss) < SMALL_LOSS * frames:
        path = SMALL
        total_m, total_e, fits = _wide_sums(
            scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior,
            tops, d, softmax, False,
        )  # fmt: skip
        loss = -(certain + log(total_m, total_e))
    if normalize:
        loss = loss if loss >= SMALLEST else 0.0
    return loss, path


@part
def _wide_sums(
    scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops, d,
    softmax, gradient,
):  # fmt: skip
    """`_path_sums` in float64 with 64-bit exponents, in a workspace of its own."""
    size = workspace_size(frames, labels, count, LANES[1], gradient)
    return _path_sums(
        scores, result, origin, classes, frames, labels, targets, slot, classes_used, count, posterior, tops,
        d, np.empty(size, np.float64), np.empty(size, np.int64), softmax, gradient,
    )  # fmt: skip


@kernel
def rows(
    scores, time, classes, targets, logit_lengths, target_lengths, blank, normalize, softmax, gradient, first, step,
    losses, paths, result, m, e, floats, integers,
):  # fmt: skip
    """Rows first, first + step, ... of a batch.

    Args:
        scores: (batch * time * classes,) float32 or float64, contiguous.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        softmax: subtract the posterior from the softmax, or from 0.
        losses: (batch,) float64, out; paths: (batch,) int64, out: see `Path`.
        result: the gradient, as scores, out; empty unless `gradient`.
        m, e, floats, integers: workspace, see `seqloss.kernels.workspace`.
    """
    for n in range(first, logit_lengths.shape[0], step):
        origin = n * time * classes
        frames = logit_lengths[n]
        loss, path = _row(
            scores, result, origin, time, classes, targets[n], frames, target_lengths[n], blank, normalize,
            softmax, gradient, m, e, floats, integers,
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
