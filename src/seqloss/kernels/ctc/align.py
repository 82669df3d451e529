"""The best path of a row (Viterbi), in float64 throughout.

The recursion of `maxima.py` runs from the last frame to the first and gives β, the score of the best path from each
state to the end. The scores are relative to the frame's largest, so that the rounding of the softmax has no influence;
with normalize=False, they are used as they are. The path then starts in front of the first state and goes, frame by
frame, to the state that attains the maximum, the last of equal ones. `seqloss.reference.alignment` shows why this is
the contract's rule for ties: label starts lexicographically earliest, then spans shortest. Every decision agrees with
it, because both add the same float64 numbers in the same order.

No β of all frames is stored, but that of some: `checkpoints.py` describes which.
"""

from __future__ import annotations

import numpy as np

from seqloss.kernels.ctc.emissions import number_classes
from seqloss.kernels.ctc.layout import LANES, chunk_count, pair_size, slots_size
from seqloss.kernels.ctc.maxima import CHUNK, SCRATCH, copy_chunks, first_together, step_back
from seqloss.kernels.ctc.relative_scores import BLOCK_FRAMES, Scores, log_probability, measure_row, relative_score
from seqloss.kernels.ctc.rows import Path, keeps_contract
from seqloss.kernels.numba.compilation import inlined, kernel, subroutine

FAST, INFEASIBLE, NON_FINITE, REFUSED = Path.FAST, Path.INFEASIBLE, Path.NON_FINITE, Path.REFUSED


@subroutine
def _lay_out_row(
    scores, origin, classes, frames, targets, labels, blank, normalize, counted, floats, integers, table, kept
):  # fmt: skip
    """Number the classes of a row; returns its `Scores` and scratch for `step_back`.

    Args:
        floats, integers: workspace, see `checkpoints.Sizes`.
    """
    width, most = chunk_count(labels) * LANES, slots_size(min(classes, labels + 1))
    slot, classes_used, integers = integers[:width], integers[width : width + most], integers[width + most :]
    offsets, seen = integers[:BLOCK_FRAMES], integers[BLOCK_FRAMES:]
    scratch, floats = floats[:SCRATCH], floats[SCRATCH:]
    skip, floor, floats = floats[:width], floats[width : width + most], floats[width + most :]
    tops, rests = floats[: frames + LANES], floats[frames + LANES :]
    used = number_classes(targets, labels, blank, classes, False, seen, classes_used, floor, counted, slot)
    for c in range(classes):
        counted[c] = 1.0
    for l in range(width):
        if l >= labels:
            slot[l] = used
        skip[l] = -np.inf if l >= labels or (l > 0 and targets[l] == targets[l - 1]) else 0.0
    row = Scores(
        scores, origin, classes, frames, normalize, tops, rests, classes_used, used, slot, skip, table, kept, offsets
    )
    return row, scratch


@subroutine
def _write_checkpoints(row, labels, distance, scratch, checkpoints):
    """Write β of the frames distance, 2 distance, ..., and of the end, to one line of `checkpoints` each."""
    frames, size = row.frames, pair_size(labels)
    last = max(0, frames - 1) // distance
    # 1. behind the last frame, a path is in the last label or in the blank behind it
    end = checkpoints[last * size : (last + 1) * size]
    end[:] = -np.inf
    end[labels // LANES * CHUNK + LANES + labels % LANES] = 0.0
    if labels > 0:
        end[(labels - 1) // LANES * CHUNK + (labels - 1) % LANES] = 0.0
    # 2. β of the next checkpoint goes back to this one, in place
    for line in range(last - 1, -1, -1):
        copy_chunks(checkpoints, (line + 1) * size, checkpoints, line * size, size)
        stop, begin = min(frames, (line + 2) * distance), (line + 1) * distance
        while stop > begin:
            start = first_together(begin, stop)
            # labels that a path from the first frame can reach, and from which it can reach the last label in time
            low, high = max(0, labels - 1 - (frames - start)) // LANES, min(labels, stop) // LANES
            step_back(row, start, stop, scratch, low, high, checkpoints, line * size, 0, 0)
            stop = start


@subroutine
def _write_window(row, begin, end, labels, state, scratch, checkpoint, window):
    """Write β of a segment's frames, for the states that a path can reach in them from `state` in front of it.

    Args:
        begin, end: its frames; checkpoint: β of frame `end`.
        window: (frames + 1, chunks * CHUNK), out.

    Returns:
        the first chunk of the window, and the numbers of one frame in it.
    """
    label = state // 2
    low, high = label // LANES, min(labels, label + end - begin) // LANES
    stride = (high - low + 1) * CHUNK
    at = (end - begin) * stride
    copy_chunks(checkpoint, low * CHUNK, window, at, stride)
    stop = end
    while stop > begin:
        start = first_together(begin, stop)
        high = min(labels, label + stop - begin) // LANES
        at = (start - begin) * stride
        step_back(row, start, stop, scratch, low, high, window, at, stride, low)
        stop = start
    return low, stride


@inlined
def _place(state, low):
    """Where a state is in a frame of a window that begins with chunk `low`."""
    label = state // 2
    return (label // LANES - low) * CHUNK + label % LANES + (0 if state % 2 == 1 else LANES)


@subroutine
def _choose_next_state(row, t, state, labels, beta, low):
    """The state of the best path in frame t, after `state`; of equally good ones the last.

    Args:
        beta: that of the next frame, from chunk `low` on.
    """
    label, odd = state // 2, state % 2 == 1
    best = relative_score(row, t, row.slot[label] if odd else 0) + beta[_place(state, low)]
    found = state
    if state < 2 * labels:
        score = relative_score(row, t, 0 if odd else row.slot[label]) + beta[_place(state + 1, low)]
        if score >= best:
            best, found = score, state + 1
    if odd and label + 1 < labels and row.skip[label + 1] == 0.0:
        score = relative_score(row, t, row.slot[label + 1]) + beta[_place(state + 2, low)]
        if score >= best:
            found = state + 2
    return found


@subroutine
def _follow_path(
    row, targets, labels, blank, distance, scratch, checkpoints, window, path, first, last, label_scores
):  # fmt: skip
    """Follow the best path, segment by segment; writes its classes, first and last frames and label scores.

    Returns:
        the log-probability of the path; -inf without one.
    """
    total, state, size = 0.0, 0, pair_size(labels)
    for line in range(max(0, row.frames - 1) // distance + 1):
        begin, end = line * distance, min(row.frames, (line + 1) * distance)
        checkpoint = checkpoints[line * size : (line + 1) * size]
        low, stride = _write_window(row, begin, end, labels, state, scratch, checkpoint, window)
        if line == 0 and not window[_place(0, 0)] > -np.inf:
            return -np.inf
        for t in range(begin, end):
            at = (t + 1 - begin) * stride
            state = _choose_next_state(row, t, state, labels, window[at : at + stride], low)
            label = state // 2
            path[t] = targets[label] if state % 2 == 1 else blank
            score = log_probability(row, t, path[t])
            total += score
            if state % 2 == 1:
                if last[label] < 0:
                    first[label] = t
                last[label] = t
                label_scores[label] += score
    return total


@kernel
def align_rows(
    scores, time, classes, targets, logit_lengths, target_lengths, blank, normalize, distance, kept, chosen,
    paths, best, first, last, label_scores, totals, counted, measuring, floats, integers, table, checkpoints, window,
):  # fmt: skip
    """Find the best path of the chosen rows of a batch.

    Args:
        scores: (batch * time * classes,) float32 or float64, contiguous.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        distance: the frames between two checkpoints, at least 1; no result depends on it.
        kept: the relative scores of all frames of a row fit into `table`; no result depends on it.
        chosen: the rows to compute, int64.
        paths: (batch,) int64, out: see `seqloss.kernels.ctc.rows.Path`.
        best: (batch, time), first, last: (batch, labels) int64, filled with -1; label_scores: (batch, labels) float64,
            filled with 0; totals: (batch,) float64: out.
        counted: (classes,) as scores; measuring: see `emissions.Scratch`; floats, integers, table, checkpoints,
            window: workspace, see `checkpoints.Sizes`.
    """
    for n in chosen:
        frames, labels = logit_lengths[n], target_lengths[n]
        totals[n] = np.nan
        if not keeps_contract(targets[n], labels, frames, time, classes, blank):
            paths[n] = REFUSED
            continue
        row, scratch = _lay_out_row(
            scores, n * time * classes, classes, frames, targets[n], labels, blank, normalize, counted, floats,
            integers, table, kept,
        )  # fmt: skip
        if not measure_row(row, counted, measuring):
            paths[n] = NON_FINITE
            label_scores[n, :labels] = np.nan
            continue
        _write_checkpoints(row, labels, distance, scratch, checkpoints)
        totals[n] = _follow_path(
            row, targets[n], labels, blank, distance, scratch, checkpoints, window, best[n], first[n], last[n],
            label_scores[n],
        )  # fmt: skip
        paths[n] = FAST if totals[n] > -np.inf else INFEASIBLE
