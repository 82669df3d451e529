"""CTC on the CPU: the loss and the gradient of each row of a batch, from scores.

One row takes these steps:

1. number the classes of blank and target (`number_row`);
2. measure the frames: largest scores and emissions (`emissions.py`);
3. forward pass over all paths, block by block (`forward.py`, `blocks.py`): the loss;
4. backward pass, segment by segment: posteriors (`backward.py`) and gradient (`gradient.py`).

If a bound of `blocks.py` fails, steps 3 and 4 are done in extended-exponent numbers (`recursion.py`).

Each row is computed separately, in one order of operations: its bits do not depend on the rest of the batch.
"""

from __future__ import annotations

import numpy as np

from seqloss.contract import SMALLEST
from seqloss.kernels.ctc import recursion
from seqloss.kernels.ctc.backward import compute_block_posteriors, start_beta
from seqloss.kernels.ctc.blocks import DONE, LONGEST, TOO_DEEP, Row, frame_number
from seqloss.kernels.ctc.emissions import (
    Frames,
    extended_emissions,
    gather_scores,
    is_dense,
    measure_frames,
    number_classes,
    sum_largest_log_probabilities,
)
from seqloss.kernels.ctc.forward import (
    restore_segment_start,
    save_segment_start,
    start_alpha,
    sum_all_paths,
    sum_forward,
)
from seqloss.kernels.ctc.gradient import write_gradient
from seqloss.kernels.ctc.layout import LANES, chunk_count, extended_frame_size, pair_size, segment_frames, slots_size
from seqloss.kernels.ctc.recursion import log_of_extended
from seqloss.kernels.numba.compilation import inlined, kernel, subroutine
from seqloss.kernels.numba.extended_exponent import ZERO_EXPONENT


class Path:
    """How a row was computed, or why it has no loss (the kernels' output `paths`)."""

    FAST = 0  # plain float64 sums, by blocks
    DEEP = 1  # extended exponents: a class in use is 2^-480 of its frame's largest, or there are over a million frames
    STEEP = 2  # extended exponents: neighbouring states are further apart than a block holds
    UNCERTAIN = 3  # extended exponents: a frame's posteriors did not add up to 1
    INFEASIBLE = 4  # no path of positive probability fits
    NON_FINITE = 5  # NaN, +inf or nothing but -inf in a frame in use
    REFUSED = 6  # a label or a length that breaks the contract (only with validate=False)


FAST, DEEP, STEEP, UNCERTAIN = Path.FAST, Path.DEEP, Path.STEEP, Path.UNCERTAIN
INFEASIBLE, NON_FINITE, REFUSED = Path.INFEASIBLE, Path.NON_FINITE, Path.REFUSED


@subroutine
def keeps_contract(targets, labels, frames, time, classes, blank):
    """Whether the lengths and labels of a row are valid: with validate=False they are not checked before."""
    if labels < 0 or labels > targets.shape[0] or frames < 0 or frames > time:
        return False
    for l in range(labels):
        if targets[l] < 0 or targets[l] >= classes or targets[l] == blank:
            return False
    return True


@inlined
def lay_out_row(
    scores, origin, steps, classes, frames, labels, blank, normalize, keep, result, out, counted, floats, integers, used
):  # fmt: skip
    """Divide a row's workspace into arrays; nothing is computed.

    Args:
        used: numbers in use; before they are known, the most there can be.

    Returns:
        its `emissions.Frames`; its `blocks.Row`; two arrays (slots,) for the recursion in extended-exponent numbers.
    """
    dense = is_dense(classes, labels, normalize)
    width, most = chunk_count(labels) * LANES, slots_size(classes if dense else min(classes, labels + 1))
    slots = slots_size(used)
    slot, classes_used = integers[:width], integers[width : width + most]
    floor, d, posterior = floats[:most], floats[most : 2 * most], floats[2 * most : 3 * most]
    skip, floats = floats[3 * most : 3 * most + width], floats[3 * most + width :]
    emissions, floats = floats[: frames * slots], floats[frames * slots :]
    tops, bottoms = floats[:frames], floats[frames : 2 * frames]
    rests, depths = floats[2 * frames : 3 * frames], floats[3 * frames : 4 * frames]
    measured = Frames(
        scores, origin, steps[0], steps[1], frames, classes, normalize, dense, used, slots, classes_used, floor,
        counted, emissions, tops, bottoms, rests, depths, result, out, keep,
    )  # fmt: skip
    row = Row(frames, frames, labels, blank if dense else 0, slots, slot, skip, emissions, depths, 0, 1)
    return measured, row, d, posterior


@subroutine
def number_row(
    scores, origin, steps, time, classes, targets, frames, labels, blank, normalize, keep, result, out, counted,
    floats, integers,
):  # fmt: skip
    """Number a row's classes and find out which labels may follow each other; FAST or why not, and `lay_out_row`'s."""
    path = FAST
    if not keeps_contract(targets, labels, frames, time, classes, blank):
        path, frames, labels = REFUSED, 0, 0
    dense = is_dense(classes, labels, normalize)
    measured, row, _, _ = lay_out_row(
        scores, origin, steps, classes, frames, labels, blank, normalize, keep, result, out, counted, floats, integers,
        classes if dense else min(classes, labels + 1),
    )  # fmt: skip
    # 1. lay the row out for the most numbers, and number the classes
    seen = integers[chunk_count(labels) * LANES + measured.slots :]
    used = number_classes(
        targets, labels, blank, classes, dense, seen, measured.classes_used, measured.floor, counted, row.slot
    )
    # 2. slots past the last label are empty; a label that repeats the one before needs a blank, so one frame more
    repeats = 0
    for l in range(chunk_count(labels) * LANES):
        row.skip[l] = 0.0
        if l >= labels:
            row.slot[l] = used
        elif l > 0:
            same = targets[l] == targets[l - 1]
            repeats += same
            row.skip[l] = 0.0 if same else 1.0
    if path == FAST and frames < labels + repeats:
        path = INFEASIBLE
    # 3. lay it out again: with fewer numbers, frames are closer together
    measured, row, d, posterior = lay_out_row(
        scores, origin, steps, classes, frames, labels, blank, normalize, keep, result, out, counted, floats, integers,
        used,
    )  # fmt: skip
    return path, measured, row, d, posterior


@subroutine
def forward_by_segments(row, space, gradient, keep):
    """Run the forward pass over all frames.

    Args:
        gradient: save the states that each segment starts with, for the backward pass.
        keep: store the sums of the last segment's frames, so that the backward pass need not sum it again.

    Returns:
        FAST, or which bound failed: DEEP or STEEP; the number of blocks of the last segment.
    """
    if row.frames > LONGEST:
        return DEEP, 0
    size = segment_frames(row.frames, row.labels) if gradient else max(1, row.frames)
    segments, many = (row.frames + size - 1) // size, 0
    start_alpha(row, space)
    for s in range(segments):
        last = keep and s == segments - 1
        if gradient and not last:
            save_segment_start(row, space, s)
        end = min(row.frames, (s + 1) * size)
        many, found = sum_forward(row, space, s * size, end, last, 0, chunk_count(row.labels) - 1)
        if found != DONE:
            return DEEP if found == TOO_DEEP else STEEP, 0
    return FAST, many


@subroutine
def backward_by_segments(row, space, measured, low, high, many, softmax, weight):
    """Run the backward pass over all frames and write the gradient; whether each frame's posteriors add up to 1.

    Args:
        low, high: the first and the last chunk in which β may be other than 0.
        many: the number of blocks of the last segment, if its sums are stored; otherwise 0.
    """
    size = segment_frames(row.frames, row.labels)
    for s in range((row.frames + size - 1) // size - 1, -1, -1):
        start, end, bottom = s * size, min(row.frames, (s + 1) * size), 0
        if many == 0:  # sum the segment again, from the states at its start
            # a label moves by at most one in a frame, so a chunk by frames / LANES: lower chunks cannot reach `low`
            bottom = max(0, low - (end - start) // LANES - 2)
            restore_segment_start(row, space, s)
            many, _ = sum_forward(row, space, start, end, True, bottom, high)
        for block in range(many, 0, -1):  # β and posteriors of a block, then its gradient
            low, high = compute_block_posteriors(row, space, start, block, bottom, low, high)
            first = space.firsts[block]
            if not write_gradient(
                measured, frame_number(row, first), row.sense, space.firsts[block + 1] - first, space.posteriors,
                space.totals, softmax, weight,
            ):  # fmt: skip
                return False
        many = 0
    return True


@subroutine
def _compute_by_blocks(row, space, measured, softmax, gradient, weight):
    """The sum over all paths as mantissa and exponent, and the row's `Path`; with `gradient`, writes the gradient."""
    path, many = forward_by_segments(row, space, gradient, gradient)
    if path != FAST:
        return 0.0, 0, path
    # the sums of the last frame: first in `sums`, or, if the last segment is stored, at its end
    at, here = 0, 0
    if gradient and row.frames > 0:
        size = segment_frames(row.frames, row.labels)
        at = ((row.frames - 1) % size + 1) * pair_size(row.labels)
        here = many * chunk_count(row.labels) * LANES
    m, e = sum_all_paths(row, space, at, here)
    if gradient and m > 0.0:
        start_beta(row, space, here, m, e)
        if not backward_by_segments(row, space, measured, 0, chunk_count(row.labels) - 1, many, softmax, weight):
            path = UNCERTAIN
    return m, e, path


@subroutine
def _compute_extended(row, measured, m, e, d, posterior, totals, softmax, gradient, weight):
    """The same in extended-exponent numbers, whose range suffices for any row."""
    # 1. divide the workspace: emissions; emissions of labels; scratch; β * p of labels and blanks; α of both
    frames, labels, slots = row.frames, row.labels, row.slots
    size = extended_frame_size(labels)
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
    # 2. skips as exponents
    for l in range(size):
        skip[l] = 1 if l < labels and row.skip[l] > 0.0 else ZERO_EXPONENT
    # 3. emissions again, from the scores: those of `measured` have no exponent of their own
    for u in range(measured.used, slots):
        d[u] = -np.inf
    for t in range(frames):
        start = measured.origin + t * measured.step
        gather_scores(measured.scores, start, measured.class_step, measured.classes_used, measured.used, d, 0)
        for u in range(measured.used):
            d[u] -= measured.tops[t]
        extended_emissions(d, slots, em, ee, t * slots)
    # 4. forward, and backward with the gradient
    recursion.sum_forward_extended(
        frames, labels, row.blank, row.slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, size, gradient
    )
    total_m, total_e = recursion.sum_all_paths_extended(frames, labels, am, ae, bm, be, size, gradient)
    if gradient and total_m > 0.0:
        recursion.backward_extended(
            measured, frames, labels, row.blank, row.slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, size, ym, ye,
            zm, ze, q, total_e, posterior, totals, softmax, weight,
        )  # fmt: skip
    return total_m, total_e


@inlined
def loss_from_sum(certain, m, e, normalize):
    """-ln p(l|x), from the sum of the largest log-probabilities and the sum over all paths relative to them."""
    loss = -(certain + log_of_extended(m, e)) + 0.0  # never -0.0
    if normalize:
        loss = loss if loss >= SMALLEST else 0.0
    return loss


@inlined
def write_zero_gradient(result, out, path, frames, time, classes):
    """Write 0 past a row's length; a whole row without a path is 0 (infeasible) or NaN (non-finite or refused)."""
    used = min(max(frames, 0), time) * classes
    if path == INFEASIBLE:
        result[out : out + used] = 0.0
    elif path == NON_FINITE or path == REFUSED:
        result[out : out + used] = np.nan
    result[out + used : out + time * classes] = 0.0


@kernel
def compute_rows(
    scores, steps, time, classes, targets, logit_lengths, target_lengths, blank, normalize, softmax, gradient, chosen,
    losses, paths, result, weights, space, scratch, counted, floats, integers,
):  # fmt: skip
    """Compute the chosen rows of a batch by blocks.

    Rows whose path is then DEEP, STEEP or UNCERTAIN are to be computed by `compute_rows_extended`.

    Args:
        scores: float32 or float64, the memory of the batch from its first score on.
        steps: the distances of neighbouring rows, frames and classes in it, in elements.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        softmax: the gradient is softmax - posterior, or -posterior.
        chosen: int64, the rows to compute.
        losses: (batch,) float64, out; paths: (batch,) int64, out: see `Path`.
        result: (batch * time * classes,), contiguous, of the scores' type, out: the gradient; empty unless `gradient`.
        weights: (batch,) of the scores' type, the factor of each row's gradient.
        space: see `blocks.Space`; scratch: see `emissions.Scratch`; counted: (classes,) of the scores' type.
        floats: float64, integers: int64: workspace, see `layout.floats_size` and `layout.integers_size`.
    """
    for n in chosen:
        out, frames = n * time * classes, logit_lengths[n]
        path, measured, row, _, _ = number_row(
            scores, n * steps[0], (steps[1], steps[2]), time, classes, targets[n], frames, target_lengths[n], blank,
            normalize, gradient and softmax, result, out, counted, floats, integers,
        )  # fmt: skip
        if not measure_frames(measured, 0, measured.count, scratch):
            path = NON_FINITE
        loss = np.inf if path == INFEASIBLE else np.nan
        if path == FAST:
            m, e, path = _compute_by_blocks(row, space, measured, softmax, gradient, weights[n])
            if path == FAST or path == UNCERTAIN:
                loss = loss_from_sum(sum_largest_log_probabilities(measured), m, e, normalize) if m > 0.0 else np.inf
                path = path if m > 0.0 else INFEASIBLE
        losses[n], paths[n] = loss, path
        if gradient:
            write_zero_gradient(result, out, path, frames, time, classes)


@kernel
def compute_rows_extended(
    scores, steps, time, classes, targets, logit_lengths, target_lengths, blank, normalize, softmax, gradient, chosen,
    losses, paths, result, weights, m, e, totals, scratch, counted, floats, integers,
):  # fmt: skip
    """Compute the chosen rows of a batch in extended-exponent numbers.

    Their paths, from `compute_rows`, remain. An UNCERTAIN row keeps its loss, because only its gradient may be wrong.

    Args:
        m: float64, e: int64, workspace of `layout.extended_size` elements; totals: float64 (1,).
        The others as for `compute_rows`.
    """
    for n in chosen:
        out, frames, path = n * time * classes, logit_lengths[n], paths[n]
        found, measured, row, d, posterior = number_row(
            scores, n * steps[0], (steps[1], steps[2]), time, classes, targets[n], frames, target_lengths[n], blank,
            normalize, gradient and softmax, result, out, counted, floats, integers,
        )  # fmt: skip
        if not measure_frames(measured, 0, measured.count, scratch):
            found = NON_FINITE
        if found == FAST:
            total_m, total_e = _compute_extended(
                row, measured, m, e, d, posterior, totals, softmax, gradient, weights[n]
            )
            found = path
            if path != UNCERTAIN:
                losses[n] = (
                    loss_from_sum(sum_largest_log_probabilities(measured), total_m, total_e, normalize)
                    if total_m > 0.0
                    else np.inf
                )
                found = path if total_m > 0.0 else INFEASIBLE
        else:
            losses[n] = np.inf if found == INFEASIBLE else np.nan
        paths[n] = found
        if gradient:
            write_zero_gradient(result, out, found, frames, time, classes)
