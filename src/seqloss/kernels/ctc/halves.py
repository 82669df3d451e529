"""A huge row in steps that threads can share: frames are measured in parts, paths are summed from both ends.

The backward pass over a target is a forward pass over its mirror image: labels and frames in reverse. So the first half
of the frames and the mirrored second half are both summed forward, independently. Where they meet, one more step
without emissions turns the sums of either half into the β of the other, and the products of sums and β add up to the
sum over all paths. From there each half runs its own backward pass and writes its own frames.

The mirror image has blank L - l for blank l (the blank before label l), and label L - 1 - l for label l.

The steps are NUMBER, MEASURE, SUM, MEET, BACK and FINISH. Each is done for all parts or both halves before the next.
Which rows are summed this way depends only on their sizes (`batch.py`), not on the number of threads. The result is
therefore bitwise the same for any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.ctc.backward import drop_negligible_chunks
from seqloss.kernels.ctc.blocks import ZERO_EXPONENT, Row, last_chunk
from seqloss.kernels.ctc.emissions import measure_frames, sum_largest_log_probabilities
from seqloss.kernels.ctc.forward import add_scalars
from seqloss.kernels.ctc.layout import LANES, chunk_count
from seqloss.kernels.ctc.rows import (
    FAST,
    INFEASIBLE,
    NON_FINITE,
    UNCERTAIN,
    backward_by_segments,
    forward_by_segments,
    lay_out_row,
    loss_from_sum,
    number_row,
    write_zero_gradient,
)
from seqloss.kernels.numba.compilation import inlined, kernel, subroutine

NUMBER, MEASURE, SUM, MEET, BACK, FINISH = range(6)


@inlined
def _half_of_row(row, mirrored_slot, mirrored_skip, side):
    """The first half of a row (side 0), or the mirror image of the second (side 1)."""
    frames, half = row.frames, row.frames // 2
    if side == 0:
        return Row(half, frames, row.labels, row.blank, row.slots, row.slot, row.skip, row.emissions, row.depths, 0, 1)
    return Row(
        frames - half, frames, row.labels, row.blank, row.slots, mirrored_slot, mirrored_skip, row.emissions,
        row.depths, frames - 1, -1,
    )  # fmt: skip


@subroutine
def _write_mirror(row, slot, skip):
    """Write the slots and skips of the mirrored labels; padding stays as it is."""
    for l in range(chunk_count(row.labels) * LANES):
        inside = l < row.labels
        slot[l] = row.slot[row.labels - 1 - l] if inside else row.slot[l]
        skip[l] = row.skip[row.labels - l] if inside and l > 0 else 0.0


@inlined
def _load_state(ends, end_exponents, at, here, place, l):
    """The sum of a state as mantissa and exponent."""
    m, e = math.frexp(ends[at + place])
    return m, e + end_exponents[here + l]


@subroutine
def _step_without_emissions(labels, ends, end_exponents, side, skip, m, e):
    """One step of α without emissions, from the sums of a half; written in the order of the other half's states."""
    width = chunk_count(labels) * LANES
    at, here = side * 2 * width, side * width
    for l in range(labels + 1):
        y, y_e = 0.0, np.int64(0)
        if l > 0:
            y, y_e = _load_state(ends, end_exponents, at, here, l - 1, l - 1)
        b, b_e = _load_state(ends, end_exponents, at, here, width + l, l)
        other = width + labels - l
        m[other], e[other] = add_scalars(b, b_e, y, y_e)
        if l < labels:
            if skip[l] > 0.0:
                b, b_e = add_scalars(b, b_e, y, y_e)
            y, y_e = _load_state(ends, end_exponents, at, here, l, l)
            m[labels - 1 - l], e[labels - 1 - l] = add_scalars(y, y_e, b, b_e)


@subroutine
def _sum_products(labels, ends, end_exponents, side, m, e):
    """The sum over all paths as mantissa and exponent: the sums of a half times those of the other after its step."""
    width = chunk_count(labels) * LANES
    total, top = 0.0, np.int64(0)
    for l in range(labels + 1):
        for place in (l, width + l):
            if place < labels or place >= width:
                own, own_e = _load_state(ends, end_exponents, side * 2 * width, side * width, place, l)
                total, top = add_scalars(total, top, own * m[place], own_e + e[place])
    return math.frexp(total)[0], top + math.frexp(total)[1]


@subroutine
def _write_beta(labels, ends, end_exponents, side, m, e, total_m, total_e, betas):
    """Write β of a half as the backward pass expects it: in units of the sum over all paths / 2^exponent."""
    width = chunk_count(labels) * LANES
    at, here = side * 2 * width, side * width
    for place in range(2 * width):
        betas[at + place] = 0.0
    for l in range(labels + 1):
        for place in (l, width + l):
            there = place < labels or place >= width
            if there and ends[at + place] > 0.0:
                up = min(max(e[place] + end_exponents[here + l] - total_e, -2000), 2000)
                betas[at + place] = math.ldexp(m[place] / total_m, np.int32(up))


@kernel
def compute_huge_row_step(
    step, turn, turns, n, scores, steps, time, classes, targets, logit_lengths, target_lengths, blank, normalize,
    softmax, gradient, losses, paths, result, weights, space, scratch, counted, floats, integers, mirrored_slot,
    mirrored_skip, ends, end_exponents, betas, m, e, found,
):  # fmt: skip
    """Do one step for part `turn` of `turns` of row n; parts are halves, except in MEASURE.

    Args:
        space, scratch: of the thread, except `space.saved` and `space.saved_exponents`, which belong to the row.
        found: int64 (1 + parts,), the numbers in use, then the `Path` of each part after the last step.
        ends, end_exponents: the sums of both halves where they meet; betas: their β there.
        m, e: float64 and int64, one pair. These and all that follows `scratch` belong to the row.
        The others as for `seqloss.kernels.ctc.rows.compute_rows`.
    """
    frames, labels, out = logit_lengths[n], target_lengths[n], n * time * classes
    origin, steps = n * steps[0], (steps[1], steps[2])
    if step == NUMBER:
        path, measured, row, _, _ = number_row(
            scores, origin, steps, time, classes, targets[n], frames, labels, blank, normalize, gradient and softmax,
            result, out, counted, floats, integers,
        )  # fmt: skip
        found[0], paths[n] = measured.used, path
        if path == FAST:
            _write_mirror(row, mirrored_slot, mirrored_skip)
        return
    if step == FINISH:
        write_zero_gradient(result, out, paths[n], frames, time, classes)
        return
    measured, row, _, _ = lay_out_row(
        scores, origin, steps, classes, frames, labels, blank, normalize, gradient and softmax, result, out, counted,
        floats, integers, found[0],
    )  # fmt: skip
    width = chunk_count(labels) * LANES
    if step == MEASURE:
        fine = measure_frames(measured, frames * turn // turns, frames * (turn + 1) // turns, scratch)
        found[1 + turn] = FAST if fine else NON_FINITE
    elif step == SUM:
        half = _half_of_row(row, mirrored_slot, mirrored_skip, turn)
        found[1 + turn], _ = forward_by_segments(half, space, gradient, False)
        for l in range(width):
            # chunks that the half does not reach contain old values
            reached = l // LANES <= last_chunk(half, half.frames)
            ends[turn * 2 * width + l] = space.sums[l] if reached else 0.0
            ends[turn * 2 * width + width + l] = space.sums[width + l] if reached else 0.0
            end_exponents[turn * width + l] = space.exponents[l] if reached else ZERO_EXPONENT
    elif step == MEET:
        _step_without_emissions(labels, ends, end_exponents, 1, mirrored_skip, m, e)
        total_m, total_e = _sum_products(labels, ends, end_exponents, 0, m, e)
        losses[n] = (
            loss_from_sum(sum_largest_log_probabilities(measured), total_m, total_e, normalize)
            if total_m > 0.0
            else np.inf
        )
        paths[n] = FAST if total_m > 0.0 else INFEASIBLE
        if total_m > 0.0 and gradient:
            _write_beta(labels, ends, end_exponents, 0, m, e, total_m, total_e, betas)
            _step_without_emissions(labels, ends, end_exponents, 0, row.skip, m, e)
            _write_beta(labels, ends, end_exponents, 1, m, e, total_m, total_e, betas)
    elif step == BACK:
        half = _half_of_row(row, mirrored_slot, mirrored_skip, turn)
        for place in range(2 * width):
            space.opened[place] = ends[turn * 2 * width + place]
            space.beta[place] = betas[turn * 2 * width + place]
        for l in range(width):
            space.beta_exponents[l] = end_exponents[turn * width + l]
            if space.beta_exponents[l] == ZERO_EXPONENT:
                space.beta_exponents[l] = 0
        low, high = drop_negligible_chunks(half, space, 0, 0, chunk_count(labels) - 1)
        fine = backward_by_segments(half, space, measured, low, high, 0, softmax, weights[n])
        found[1 + turn] = FAST if fine else UNCERTAIN
