"""CTC on the CPU: loss and gradient of every row of a batch, from scores, in one call.

What each frame gives to the sums is in `emissions.py`, the sums over paths in `blocks.py` and, for the rows that its
bounds shut out, in `recursion.py`; `gradient.py` writes. Here they become one row, and rows a batch.

A row is computed alone and in one order of operations: its bits depend on nothing else in the batch.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels import blocks, recursion
from seqloss.kernels.blocks import DONE, TOLERANCE, TOO_DEEP
from seqloss.kernels.compiled import inlined, kernel, part
from seqloss.kernels.emissions import is_dense, measure, number_classes, scores_used, wide_emissions
from seqloss.kernels.gradient import write_gradient
from seqloss.kernels.layout import LANES, chunks, pair, segment, slots_size, wide_section
from seqloss.kernels.recursion import log
from seqloss.kernels.vectors import pick
from seqloss.kernels.wide import NOTHING


class Path:
    """What happened to a row (the kernel's `paths` output)."""

    FAST = 0  # plain float64 sums, by blocks
    DEEP = 1  # wide numbers: a class in use is 2^-480 of its frame's largest, or too many frames are nearly so
    STEEP = 2  # wide numbers: neighbouring states are further apart than a block holds
    UNCERTAIN = 3  # wide numbers: a frame's posteriors did not add up to 1
    INFEASIBLE = 4  # no path of positive probability fits
    POISONED = 5  # NaN, +inf or nothing but -inf in a frame in use
    REFUSED = 6  # a label or a length that breaks the contract (met with validate=False alone)


FAST, DEEP, STEEP, UNCERTAIN = Path.FAST, Path.DEEP, Path.STEEP, Path.UNCERTAIN
INFEASIBLE, POISONED, REFUSED = Path.INFEASIBLE, Path.POISONED, Path.REFUSED


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
def _block_gradient(row, space, block, result, out, classes, dense, classes_used, count, tops, softmax, weight):
    """Write the gradient of a block's frames from their posteriors; whether these add up to 1 in each."""
    begin = space.firsts[block]
    for i in range(space.firsts[block + 1] - begin):
        t = begin + i
        added = write_gradient(
            result, out + t * classes, classes, dense, classes_used, count, row.slots, row.emissions, t * row.slots,
            space.posteriors, i * row.slots, pick(tops, 2 * t + 1), softmax, weight,
        )  # fmt: skip
        if not (abs(added - 1.0) <= TOLERANCE):
            return False
    return True


@part
def _block_sums(row, space, result, out, classes, dense, classes_used, count, tops, softmax, gradient, weight):
    """The sum over all paths, a mantissa and an exponent, and the gradient if asked for; and the row's path."""
    frames, top = row.frames, chunks(row.labels) - 1
    size = segment(frames, row.labels) if gradient else max(1, frames)
    segments = (frames + size - 1) // size
    blocks.begin(row, space)
    many, at, here = 0, 0, 0
    for s in range(segments):
        start, end = s * size, min(frames, (s + 1) * size)
        keep = gradient and s == segments - 1
        if gradient and not keep:
            blocks.save(row, space, s)
        many, found = blocks.forward(row, space, start, end, keep, 0, top)
        if found != DONE:
            return 0.0, 0, DEEP if found == TOO_DEEP else STEEP
        if keep:
            at, here = (end - start) * pair(row.labels), many * chunks(row.labels) * LANES
    m, e = blocks.total(row, space, at, here)
    if not gradient or m == 0.0:
        return m, e, FAST
    blocks.start_back(row, space, here, m, e)
    low, high = 0, top
    for s in range(segments - 1, -1, -1):
        start, end = s * size, min(frames, (s + 1) * size)
        bottom = 0
        if s < segments - 1:
            bottom = max(0, low - (end - start) // LANES - 2)
            blocks.restore(row, space, s)
            many, found = blocks.forward(row, space, start, end, True, bottom, high)
        for block in range(many, 0, -1):
            low, high = blocks.posteriors(row, space, start, block, bottom, low, high)
            if not _block_gradient(
                row, space, block, result, out, classes, dense, classes_used, count, tops, softmax, weight
            ):
                return m, e, UNCERTAIN
    return m, e, FAST


@part
def _wide_sums(
    scores, origin, steps, row, m, e, result, out, classes, dense, classes_used, count, posterior, tops, d, softmax,
    gradient, weight,
):  # fmt: skip
    """The sum over all paths, a mantissa and an exponent, and the gradient if asked for, in wide numbers."""
    frames, labels, slots = row.frames, row.labels, row.slots
    size = wide_section(labels)
    kept = (frames + 1 if gradient else 2) * size + LANES
    turns = 2 * size + LANES
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
        skip[l] = 1 if l < labels and row.skip[l] > 0.0 else NOTHING
    for u in range(count, slots):
        d[u] = -np.inf
    for t in range(frames):
        scores_used(scores, origin + t * steps[0], steps[1], classes_used, count, d)
        for u in range(count):
            d[u] -= tops[2 * t]
        wide_emissions(d, slots, em, ee, t * slots)
    recursion.forward(frames, labels, row.blank, row.slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, size, gradient)
    total_m, total_e = recursion.total(frames, labels, am, ae, bm, be, size, gradient)
    if gradient and total_m > 0.0:
        recursion.backward(
            result, out, classes, frames, labels, row.blank, row.slot, slots, skip, em, ee, pm, pe, am, ae, bm, be,
            size, ym, ye, zm, ze, q, total_e, dense, classes_used, count, row.emissions, posterior, tops, softmax,
            weight,
        )  # fmt: skip
    return total_m, total_e


@part
def _prepare(
    scores, origin, steps, time, classes, targets, frames, labels, blank, normalize, keep, result, out, line, counted,
    floats, integers,
):  # fmt: skip
    """Number a row's classes and measure its frames.

    Returns:
        FAST, or why there is nothing to sum; the sum of log p(largest); what the sums need.
    """
    path = FAST
    if not admissible(targets, labels, frames, time, classes, blank):
        path, frames, labels = REFUSED, 0, 0
    dense = is_dense(classes, labels, normalize)
    width = chunks(labels) * LANES
    slots = slots_size(classes if dense else min(classes, labels + 1))
    slot, classes_used, seen = integers[:width], integers[width : width + slots], integers[width + slots :]
    unused, d, posterior = floats[:slots], floats[slots : 2 * slots], floats[2 * slots : 3 * slots]
    skip, floats = floats[3 * slots : 3 * slots + width], floats[3 * slots + width :]
    count = number_classes(targets, labels, blank, classes, dense, seen, classes_used, unused, counted, slot)
    slots = slots_size(count)
    repeats = 0
    for l in range(width):
        skip[l] = 0.0
        if l >= labels:
            slot[l] = count
        elif l > 0:
            same = targets[l] == targets[l - 1]
            repeats += same
            skip[l] = 0.0 if same else 1.0
    emissions, floats = floats[: frames * slots], floats[frames * slots :]
    tops, depths = floats[: 2 * frames], floats[2 * frames : 3 * frames]
    certain = measure(
        scores, origin, steps, classes, frames, count, slots, dense, unused, counted, classes_used, line, d, normalize,
        emissions, tops, depths, result, out, keep,
    )  # fmt: skip
    if np.isnan(certain):
        path = POISONED
    elif path == FAST and frames < labels + repeats:
        path = INFEASIBLE
    row = blocks.Row(frames, labels, blank if dense else 0, slots, slot, skip, emissions, depths)
    return path, certain, row, dense, classes_used, count, posterior, d, tops


@inlined
def _loss(certain, m, e, normalize):
    loss = -(certain + log(m, e)) + 0.0  # never -0.0
    if normalize:
        loss = loss if loss >= SMALLEST else 0.0
    return loss


@inlined
def _still(result, out, path, frames, time, classes):
    """The gradient of frames past a row's length, and of a row that has no sums."""
    used = min(max(frames, 0), time) * classes
    if path == INFEASIBLE:
        result[out : out + used] = 0.0
    elif path == POISONED or path == REFUSED:
        result[out : out + used] = np.nan
    result[out + used : out + time * classes] = 0.0


@kernel
def rows(
    scores, steps, time, classes, targets, logit_lengths, target_lengths, blank, normalize, softmax, gradient, chosen,
    losses, paths, result, weights, space, line, counted, floats, integers,
):  # fmt: skip
    """The chosen rows of a batch, by blocks; those with the path DEEP, STEEP or UNCERTAIN are left to `wide_rows`.

    Args:
        scores: float32 or float64, whatever stands in memory from a batch's first score on; steps: from a row's,
            a frame's and a class's first score to the next one's, in elements.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        softmax: subtract the posterior from the softmax, or from 0.
        chosen: the rows to compute, int64.
        losses: (batch,) float64, out; paths: (batch,) int64, out: see `Path`.
        result: the gradient, (batch * time * classes,), contiguous, as scores, out; empty unless `gradient`.
        weights: (batch,) of the scores' type, what a row's gradient is multiplied by.
        space: where sums go; line, counted: (classes,) as scores; floats: float64, integers: int64: workspace, see
            `layout`.
    """
    for n in chosen:
        out = n * time * classes
        path, certain, row, dense, classes_used, count, _, _, tops = _prepare(
            scores, n * steps[0], (steps[1], steps[2]), time, classes, targets[n], logit_lengths[n], target_lengths[n],
            blank, normalize, gradient and softmax, result, out, line, counted, floats, integers,
        )  # fmt: skip
        loss = np.inf if path == INFEASIBLE else np.nan
        if path == FAST:
            m, e, path = _block_sums(
                row, space, result, out, classes, dense, classes_used, count, tops, softmax, gradient, weights[n]
            )
            if path == FAST or path == UNCERTAIN:
                loss = _loss(certain, m, e, normalize) if m > 0.0 else np.inf
                path = path if m > 0.0 else INFEASIBLE
        losses[n], paths[n] = loss, path
        if gradient:
            _still(result, out, path, logit_lengths[n], time, classes)


@kernel
def wide_rows(
    scores, steps, time, classes, targets, logit_lengths, target_lengths, blank, normalize, softmax, gradient, chosen,
    losses, paths, result, weights, m, e, line, counted, floats, integers,
):  # fmt: skip
    """The chosen rows of a batch in wide numbers, after `rows` has said why; the loss of an UNCERTAIN one stands.

    Args:
        m: float64, e: int64, workspace of `layout.wide_size`; the others as for `rows`.
    """
    for n in chosen:
        out, origin, path = n * time * classes, n * steps[0], paths[n]
        found, certain, row, dense, classes_used, count, posterior, d, tops = _prepare(
            scores, origin, (steps[1], steps[2]), time, classes, targets[n], logit_lengths[n], target_lengths[n],
            blank, normalize, gradient and softmax, result, out, line, counted, floats, integers,
        )  # fmt: skip
        if found != FAST:
            losses[n], paths[n] = np.inf if found == INFEASIBLE else np.nan, found
            if gradient:
                _still(result, out, found, logit_lengths[n], time, classes)
            continue
        total_m, total_e = _wide_sums(
            scores, origin, (steps[1], steps[2]), row, m, e, result, out, classes, dense, classes_used, count,
            posterior, tops, d, softmax, gradient, weights[n],
        )  # fmt: skip
        if path != UNCERTAIN:
            losses[n] = _loss(certain, total_m, total_e, normalize) if total_m > 0.0 else np.inf
            paths[n] = path if total_m > 0.0 else INFEASIBLE
        if gradient:
            _still(result, out, paths[n], logit_lengths[n], time, classes)
