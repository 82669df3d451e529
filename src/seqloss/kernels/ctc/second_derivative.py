"""The Hessian of a row's loss times a direction, in float64.

With v the direction, and for states s of the target (blank, label 1, blank, ...):

    α_t(s) = log of the sum over all paths up to frame t that end in s,    β_t(s) = the same from frame t + 1 on
    γ_t(s) = exp(α_t(s) + β_t(s) - log P)                                  the posterior

The tangent of a logarithm of a sum is the mean of the tangents of its terms, weighted by their shares of the sum. So
the tangents α' and β' obey the recursions of α and β with a mean for each sum, and

    γ'_t(s) = γ_t(s) (d_t(s) - sum_s γ_t(s) d_t(s)),    d = α' + β'
    y'_t(c) = y_t(c) (v_t(c) - sum_c y_t(c) v_t(c))     for the softmax y

No difference of nearby values is taken, and no step size. The scores are relative to the largest of their frame, which
leaves all shares as they are. `seqloss.formulas.ctc.second_derivative` is the same in whole arrays.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.contract import MASKED
from seqloss.kernels.ctc.rows import keeps_contract
from seqloss.kernels.numba.compilation import kernel, subroutine

SOFTMAX, POSTERIOR, EXP = 0, 1, 2
"""The gradient that is differentiated: softmax - posterior, -posterior, or exp(scores) - posterior."""


@subroutine
def _mix(terms, tangents, count):
    """The logarithm of the sum of up to three terms, given by their logarithms, and its tangent."""
    top = terms[0]
    for i in range(1, count):
        top = max(top, terms[i])
    if top == -np.inf:
        return -np.inf, 0.0
    whole, mean = 0.0, 0.0
    for i in range(count):
        if terms[i] > -np.inf or np.isnan(terms[i]):
            share = math.exp(terms[i] - top)
            whole += share
            mean += share * tangents[i]
    return top + math.log(whole), mean / whole


@subroutine
def _read_frame(scores, direction, start, targets, labels, blank, classes, normalize, emissions, slopes):
    """Write the relative score of each state of a frame, -inf for a masked class, and its tangent."""
    top = scores[start + blank]
    if normalize:
        for c in range(classes):
            top = max(top, scores[start + c])
    else:
        for l in range(labels):
            top = max(top, scores[start + targets[l]])
        if top < -MASKED:  # every class that is read is masked
            top = scores.dtype.type(0.0)
    for s in range(2 * labels + 1):
        k = targets[s // 2] if s % 2 == 1 else blank
        distance = np.float64(scores[start + k]) - np.float64(top)
        emissions[s] = -np.inf if distance < -MASKED else distance
        slopes[s] = direction[start + k]


@subroutine
def _sum_forward(targets, frames, states, emissions, slopes, alphas, d_alphas, terms, tangents):
    """Write α and its tangent, (frames, states); returns log P relative to the largest scores."""
    for t in range(frames):
        here, before = t * states, (t - 1) * states
        for s in range(states):
            if t == 0:
                alphas[s] = emissions[s] if s < 2 else -np.inf
                d_alphas[s] = slopes[s] if s < 2 else 0.0
                continue
            count = 0
            for back in range(3):
                skips = s % 2 == 1 and s >= 3 and targets[s // 2] != targets[s // 2 - 1]
                if s >= back and (back < 2 or skips):
                    terms[count], tangents[count] = alphas[before + s - back], d_alphas[before + s - back]
                    count += 1
            total, mean = _mix(terms, tangents, count)
            alphas[here + s] = total + emissions[here + s]
            d_alphas[here + s] = mean + slopes[here + s]
    end = (frames - 1) * states
    terms[0], tangents[0] = alphas[end + states - 1], 0.0
    if states > 1:
        terms[1], tangents[1] = alphas[end + states - 2], 0.0
    total, _ = _mix(terms, tangents, min(states, 2))
    return total


@subroutine
def _step_back(targets, states, emissions, slopes, here, betas, d_betas, terms, tangents):
    """Move β and its tangent from frame t + 1, whose states start at `here`, to frame t, in place."""
    for s in range(states):  # only states from s on are read
        count = 0
        for ahead in range(3):
            skips = s % 2 == 1 and s + 2 < states and targets[s // 2] != targets[s // 2 + 1]
            if s + ahead < states and (ahead < 2 or skips):
                terms[count] = betas[s + ahead] + emissions[here + s + ahead]
                tangents[count] = d_betas[s + ahead] + slopes[here + s + ahead]
                count += 1
        betas[s], d_betas[s] = _mix(terms, tangents, count)


@subroutine
def _write_frame(
    scores, direction, start, classes, gradient, weight, targets, states, blank, shares, d, result
):  # fmt: skip
    """Write a frame of the product, given the posterior of each state and the tangent of its logarithm."""
    mean = 0.0
    for s in range(states):
        mean += shares[s] * d[s]
    average, whole, top = 0.0, 1.0, -np.inf
    if gradient == SOFTMAX:
        whole = 0.0
        for c in range(classes):
            top = max(top, np.float64(scores[start + c]))
        for c in range(classes):
            y = math.exp(np.float64(scores[start + c]) - top)
            whole += y
            average += y * direction[start + c]
        average /= whole
    for c in range(classes):
        found = 0.0
        if gradient == SOFTMAX:
            found = math.exp(np.float64(scores[start + c]) - top) / whole * (direction[start + c] - average)
        elif gradient == EXP:
            found = math.exp(np.float64(scores[start + c])) * direction[start + c]
        result[start + c] = weight * found
    for s in range(states):
        k = targets[s // 2] if s % 2 == 1 else blank
        result[start + k] -= weight * (shares[s] * (d[s] - mean))


@kernel
def multiply_hessians(
    scores, direction, time, classes, targets, logit_lengths, target_lengths, blank, normalize, gradient, weights,
    chosen, floats, frame, result,
):  # fmt: skip
    """Multiply the Hessians of the chosen rows by a direction.

    Args:
        scores, direction: (batch * time * classes,) float32 or float64, contiguous.
        targets: int64 (batch, labels); logit_lengths, target_lengths: int64 (batch,).
        gradient: SOFTMAX, POSTERIOR or EXP.
        weights: (batch,), a factor of each row's product.
        chosen: the rows to compute, int64.
        floats: scratch, (4, frames, states) float64; frame: scratch, (4 states + 6,) float64.
        result: out, like the scores. Rows without a path and frames past a row's length become 0; the frames of a row
            that is non-finite or breaks the contract become NaN.
    """
    for n in chosen:
        frames, labels, origin = logit_lengths[n], target_lengths[n], n * time * classes
        used = min(max(frames, 0), time)
        for i in range(origin, origin + used * classes):
            result[i] = np.nan
        for i in range(origin + used * classes, origin + time * classes):
            result[i] = 0.0
        if not keeps_contract(targets[n], labels, frames, time, classes, blank) or frames == 0:
            continue
        states = 2 * labels + 1
        size = frames * states
        emissions, slopes = floats[:size], floats[size : 2 * size]
        alphas, d_alphas = floats[2 * size : 3 * size], floats[3 * size : 4 * size]
        betas, d_betas = frame[:states], frame[states : 2 * states]
        shares, d = frame[2 * states : 3 * states], frame[3 * states : 4 * states]
        terms, tangents = frame[4 * states : 4 * states + 3], frame[4 * states + 3 :]
        finite = True
        for t in range(frames):
            start, here = origin + t * classes, t * states
            _read_frame(
                scores, direction, start, targets[n], labels, blank, classes, normalize, emissions[here:],
                slopes[here:],
            )  # fmt: skip
            finite = finite and _is_finite(scores, start, targets[n], labels, blank, classes, normalize)
        if not finite:
            continue
        total = _sum_forward(targets[n], frames, states, emissions, slopes, alphas, d_alphas, terms, tangents)
        if total == -np.inf:
            for i in range(origin, origin + used * classes):
                result[i] = 0.0
            continue
        for s in range(states):
            betas[s], d_betas[s] = 0.0 if s >= states - 2 else -np.inf, 0.0
        for t in range(frames - 1, -1, -1):
            if t < frames - 1:
                _step_back(targets[n], states, emissions, slopes, (t + 1) * states, betas, d_betas, terms, tangents)
            whole = 0.0
            for s in range(states):
                shares[s] = math.exp(alphas[t * states + s] + betas[s] - total)
                d[s] = d_alphas[t * states + s] + d_betas[s]
                whole += shares[s]
            for s in range(states):  # without the rounding of the sums over time
                shares[s] /= whole
            _write_frame(
                scores, direction, origin + t * classes, classes, gradient, weights[n], targets[n], states, blank,
                shares, d, result,
            )  # fmt: skip


@subroutine
def _is_finite(scores, start, targets, labels, blank, classes, normalize):
    """Whether the scores that a frame reads have no NaN and no +inf, and with `normalize` not only -inf."""
    if not normalize:
        for l in range(labels):
            if not (scores[start + targets[l]] < np.inf):
                return False
        return scores[start + blank] < np.inf
    some = False
    for c in range(classes):
        if not (scores[start + c] < np.inf):
            return False
        some = some or scores[start + c] > -np.inf
    return some
