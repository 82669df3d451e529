"""The best path of a row: the recursion over maxima instead of sums, in float64.

    β_t(s) = max over the states s' that may follow s of  x_t(s') + β_{t+1}(s')

is the score of the best path from state s to the end. x are the scores relative to the frame's largest, so that the
rounding of the softmax has no influence; with normalize=False, the scores as they are. For each frame and state, the
step that attains the maximum is stored, the largest of equal ones. The path follows these steps from the first frame
(Viterbi). `seqloss.reference.alignment` shows why this is the contract's rule for ties: label starts lexicographically
earliest, then spans shortest. Every decision agrees with it, because both add the same float64 numbers in the same
order.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.contract import MASKED
from seqloss.kernels.ctc.emissions import gather_scores, number_classes
from seqloss.kernels.ctc.layout import slots_size
from seqloss.kernels.ctc.rows import Path, keeps_contract
from seqloss.kernels.numba.compilation import kernel, subroutine
from seqloss.kernels.numba.softmax import (
    largest_and_smallest,
    prepare_exponentials,
    sum_other_exponentials,
    write_exponentials,
)
from seqloss.kernels.numba.vectors import load_one, store_one

FAST, INFEASIBLE, NON_FINITE, REFUSED = Path.FAST, Path.INFEASIBLE, Path.NON_FINITE, Path.REFUSED


@subroutine
def _find_largest_scores(scores, origin, classes, frames, classes_used, count, counted, scratch, d, tops, normalize):
    """Write the largest score and `others` of each frame to `tops`; whether all frames are finite."""
    for t in range(frames):
        start = origin + t * classes
        rest = 0.0
        if normalize:
            top, bottom = largest_and_smallest(scores, start, classes)
            if not (top > -np.inf):
                return False
            store_one(scratch.tops, 0, top)
            prepare_exponentials(scratch.tops, scratch.origins, scratch.rounders, scratch.rests, 1)
            taken, rounder, small = (
                load_one(scratch.origins, 0),
                load_one(scratch.rounders, 0),
                load_one(scratch.rests, 0),
            )
            write_exponentials(scores, start, classes, top, bottom, taken, rounder, small, scratch.exponentials, 0)
            rest, ties = sum_other_exponentials(scratch.exponentials, 0, classes, counted, 0)
            rest += ties - 1
        else:
            top = gather_scores(scores, start, 1, classes_used, count, d, 0)
            if np.isnan(top):
                return False
            if top < -MASKED:  # every class that is read is masked
                top = 0.0
        tops[2 * t] = top
        tops[2 * t + 1] = rest
    return True


@subroutine
def _find_best_steps(
    scores, origin, classes, frames, targets, labels, slot, classes_used, count, tops, normalize, d, here, ahead, steps
):  # fmt: skip
    """Write the best step of each frame and state: 0, 1 or 2 states ahead; returns the best score, -inf without a path.

    Args:
        d: scratch, the scores of the classes in use; here, ahead: scratch, β of this frame and of the next.
        steps: (frames, states), out.
    """
    states = 2 * labels + 1
    for s in range(states):
        ahead[s] = 0.0 if s >= states - 2 else -np.inf
    for t in range(frames - 1, -1, -1):
        for u in range(count):
            score = np.float64(scores[origin + t * classes + classes_used[u]])
            relative = score - tops[2 * t]
            d[u] = -np.inf if relative < -MASKED else relative if normalize else score
        blank = d[0]
        for s in range(states):
            label = s // 2
            odd = s % 2 == 1
            best = (d[slot[label]] if odd else blank) + ahead[s]
            step = 0
            if s + 1 < states:
                score = (blank if odd else d[slot[label]]) + ahead[s + 1]
                if score >= best:
                    best, step = score, 1
            if odd and s + 2 < states and targets[label + 1] != targets[label]:
                score = d[slot[label + 1]] + ahead[s + 2]
                if score >= best:
                    best, step = score, 2
            here[s] = best
            steps[t * states + s] = step
        for s in range(states):
            ahead[s] = here[s]
    return ahead[0]


@subroutine
def _follow_steps(
    scores, origin, classes, frames, targets, labels, blank, tops, normalize, steps, path, first, last, label_scores
):  # fmt: skip
    """Follow the steps from the first state; writes classes, first and last frames and label scores of the path.

    Returns:
        the log-probability of the path.
    """
    total = 0.0
    state = 0
    for t in range(frames):
        state += steps[t * (2 * labels + 1) + state]
        label = state // 2
        k = targets[label] if state % 2 == 1 else blank
        score = np.float64(scores[origin + t * classes + k])
        if normalize:
            score -= tops[2 * t]
            score -= math.log1p(tops[2 * t + 1])
        path[t] = k
        total += score
        if state % 2 == 1:
            if last[label] < 0:
                first[label] = t
            last[label] = t
            label_scores[label] += score
    return total


@kernel
def align_rows(
    scores, time, classes, targets, logit_lengths, target_lengths, blank, normalize, chosen,
    paths, best, first, last, label_scores, totals, counted, scratch, floats, integers, steps,
):  # fmt: skip
    """Find the best path of the chosen rows of a batch.

    Args:
        scores: (batch * time * classes,) float32 or float64, contiguous.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        chosen: the rows to compute, int64.
        paths: (batch,) int64, out: see `seqloss.kernels.ctc.rows.Path`.
        best: (batch, time), first, last: (batch, labels) int64, filled with -1; label_scores: (batch, labels) float64,
            filled with 0; totals: (batch,) float64: out.
        counted: (classes,) as scores; scratch: see `emissions.Scratch`; floats, integers: workspace; steps: uint8,
            frames * (2 labels + 1) of it.
    """
    for n in chosen:
        frames, labels, origin = logit_lengths[n], target_lengths[n], n * time * classes
        totals[n] = np.nan
        if not keeps_contract(targets[n], labels, frames, time, classes, blank):
            paths[n] = REFUSED
            continue
        seen, slot, classes_used = (
            integers[:classes],
            integers[classes : classes + labels],
            integers[classes + labels :],
        )
        count = number_classes(targets[n], labels, blank, classes, False, seen, classes_used, floats, counted, slot)
        for c in range(classes):
            counted[c] = 1.0
        slots, states = slots_size(count), 2 * labels + 1
        d, here, ahead = floats[:slots], floats[slots : slots + states], floats[slots + states : slots + 2 * states]
        tops = floats[slots + 2 * states :]
        if not _find_largest_scores(
            scores, origin, classes, frames, classes_used, count, counted, scratch, d, tops, normalize
        ):
            paths[n] = NON_FINITE
            label_scores[n, :labels] = np.nan
            continue
        reached = _find_best_steps(
            scores, origin, classes, frames, targets[n], labels, slot, classes_used, count, tops, normalize, d, here,
            ahead, steps,
        )  # fmt: skip
        paths[n] = FAST if reached > -np.inf else INFEASIBLE
        totals[n] = -np.inf
        if reached > -np.inf:
            totals[n] = _follow_steps(
                scores, origin, classes, frames, targets[n], labels, blank, tops, normalize, steps, best[n],
                first[n], last[n], label_scores[n],
            )  # fmt: skip
