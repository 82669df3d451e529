"""How far a door may be from the definition: one error budget for every type, entry by entry.

u is the unit roundoff of the sums: 2^-24 for float32 and the half types, 2^-53 for float64. Roundings come in
chains, and n independent ones of size at most u add up to

    walk(n) = min(n, 4 √n) u,

n u being certain, and 4 √n u exceeded with probability 2 exp(-8) even by errors of the full size u (Higham and
Mary, 2019; a rounding's own root mean square is under u/√3, so that this is some seven standard deviations).
The budget, with d the distance of a score from its frame's largest, y the softmax and γ the posterior:

emission   exp(-d) is computed in float64 whatever the sums are: the rounding of d alone grows with it, so that a
           path is off by at most 4 √(Σ_t max d²) 2^-53, relatively (`reach`). Its rounding to u is counted under
           "sum".
sum        a frame costs a path sum at most 4 roundings (the emission, two additions, a product), and the
           start and the end 2 frames' worth: walk(4 (T + 2)), relatively.
path       the loss is  Σ_t log1p(Σ others) - log(path sum). The first part is off by Σ_t σ_t, below, and by walk(T) of
           itself for its own additions, in float64; the second, an absolute error, by the sum's, with u = 2^-53
           where a loss is under 2^-6 a frame, because such a one is summed in float64. Then the loss is rounded
           once: u |loss|. Without softmax the first part is minus the sum of the frames' largest scores.
posterior  forward and backward sums, over the frame's own total of the same: ρ = walk(8 (T + 2)) + reach, relatively.
softmax    exp of a rounded difference, degree-7 series, scale: σ(k) = (8 + d) u, relatively, and σ_t its sum
           over y(k) of all classes but the frame's largest.

Gradient = y - γ, each known relatively; near 1 both are taken by their complements, p̂ = min(p, 1 - p):

    |error| <= ρ γ̂ + σ ŷ + 2 u |gradient| + classes 2^-126,

the last because entries under 2^-126 are 0. So every bound is relative to the entry's own two terms: no
absolute floor lets zeros pass for a sure model, whose y and γ are 1e-7 or 1e-30, and no frame's large entry
hides a small one's error. Upstream multiplies it all, with one rounding more. A half type's gradient is then
rounded once: 2^-11 (float16, half of 2^-24 at the least) or 2^-8 (bfloat16) of the entry.

The reference runs in `np.longdouble`; what it lacks to perfection is counted too: its logs are off by |log P|
of its own u a step. Where longdouble is no wider than float64 (some ARM hosts), that is the larger part.

References:
    N. J. Higham, T. Mary: A new approach to probabilistic rounding error analysis. SIAM J. Sci. Comput. 41(5), 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss import contract, reference
from seqloss.reference.scores import log_softmax, row_scores

from .problems import Problem

UNIT = {"float16": 2.0**-24, "bfloat16": 2.0**-24, "float32": 2.0**-24, "float64": 2.0**-53}
STORED = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 0.0)}
"""A half type's unit roundoff, and half of its smallest number where that is in reach."""

EMISSION_UNIT = 2.0**-53
REFERENCE_UNIT = float(np.finfo(np.longdouble).eps) / 2
SMALL_LOSS = 2.0**-6
"""Nats a frame under which a loss is summed in float64 whatever its type."""

PUBLISHED = {"absolute": 1e-5, "relative": 1e-4}
"""What the project promises of float32 gradients of up to 4000 frames: absolute, and of the row's largest entry."""


@dataclass(frozen=True)
class Bounds:
    """The largest errors that a door may make on a problem, and the definition's own answer."""

    loss: np.ndarray  # (batch,)
    grad: np.ndarray  # (batch, time, classes), upstream included
    expected_loss: np.ndarray
    expected_grad: np.ndarray


def bounds(problem: Problem, dtype: str, upstream: np.ndarray) -> Bounds:
    """The budget above, for each loss and each entry of the gradient."""
    logits = problem.logits.astype(np.longdouble)
    loss, grad = reference.ctc_loss_and_grad(logits, *problem.args, **problem.options)
    posteriors = reference.ctc_posteriors(logits, *problem.args, **problem.options)
    loss_bounds, grad_bounds = np.zeros(loss.shape), np.zeros(grad.shape)
    batch = contract.validate(logits.shape, *problem.args, blank=problem.blank)
    for n, (frames, labels) in enumerate(zip(batch.logit_lengths, batch.target_lengths, strict=True)):
        target = batch.targets[n, :labels]
        scores = row_scores(logits[n, :frames], target, batch.blank, problem.normalize)
        if scores is None or not np.isfinite(loss[n]):
            continue  # NaN, or inf and 0: compared exactly
        used = slice(0, frames)
        row = _row_bounds(scores, posteriors[n, used], grad[n, used], float(loss[n]), UNIT[dtype], problem.normalize)
        loss_bounds[n], grad_bounds[n, used] = row
    weights = upstream[:, None, None]
    expected = np.where(np.isinf(loss)[:, None, None], 0.0, grad * weights)
    grad_bounds = np.abs(weights) * grad_bounds + UNIT[dtype] * np.abs(expected)
    unit, least = STORED.get(dtype, (0.0, 0.0))
    grad_bounds += unit * (np.abs(expected) + grad_bounds) + np.where(expected == 0, 0.0, least)
    return Bounds(loss_bounds, grad_bounds.astype(np.float64), loss, expected)


def _row_bounds(
    scores: np.ndarray, posteriors: np.ndarray, grad: np.ndarray, loss: float, u: float, normalize: bool
) -> tuple[float, np.ndarray]:
    frames, classes = scores.shape
    if not frames:
        return 0.0, np.zeros(scores.shape)
    top = scores.max(axis=1, keepdims=True)
    distance = np.where(np.isneginf(scores), 0.0, np.where(np.isneginf(top), 0.0, top) - scores)  # (time, classes)
    reach = 4 * np.sqrt((distance.max(axis=1) ** 2).sum()) * EMISSION_UNIT
    own = 4 * np.sqrt(3 * frames) * (abs(loss) + 1) * REFERENCE_UNIT
    near_one, off = np.zeros(scores.shape), 0.0
    if normalize:
        probabilities = np.exp(log_softmax(scores))
        certain = -log_softmax(scores).max(axis=1).sum()
        softmax = probabilities * (8 + distance) * u  # (time, classes)
        rest = softmax.copy()
        rest[np.arange(frames), scores.argmax(axis=1)] = 0.0
        others = rest.sum(axis=1)  # (time,)
        near_one = np.where(probabilities > 0.5, others[:, None], softmax)
        off = float(others.sum())
    else:
        certain = np.abs(np.where(np.isneginf(top), 0.0, top)).sum()
    off += walk(frames, EMISSION_UNIT) * float(certain)
    rho = walk(8 * (frames + 2), u) + reach + own
    complements = np.minimum(posteriors, 1 - posteriors)
    bound = rho * complements + near_one + 2 * u * np.abs(grad) + classes * contract.SMALLEST
    sums = EMISSION_UNIT if abs(loss) < SMALL_LOSS * frames else u
    return off + walk(4 * (frames + 2), sums) + reach + own + u * abs(loss), bound


def walk(roundings: int, u: float) -> float:
    """What a chain of roundings may add up to."""
    return float(min(roundings, 4 * np.sqrt(roundings)) * u)
