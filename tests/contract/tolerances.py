"""How far a frontend may be from the definition: one error budget for every type, entry by entry.

u is the unit roundoff of the results: 2^-24 for float32 and the half types, 2^-53 for float64. Path sums are in
float64 whatever the type, so that their unit is s = 2^-53. Roundings come in chains, and n independent ones of size at
most u add up to

    walk(n) = min(n, 4 √n) u,

n u being certain, and 4 √n u exceeded with probability 2 exp(-8) even by errors of the full size u (Higham and
Mary, 2019; a rounding's own root mean square is under u/√3, so that this is some seven standard deviations).
The budget, with d the distance of a score from its frame's largest, y the softmax and γ the posterior:

emission   exp(-d) is computed in float64: the rounding of d alone grows with it, so that a path is off by at most
           4 √(Σ_t max d²) s, relatively (`reach`). Its own rounding is counted under "sum".
sum        a frame costs a path sum at most 4 roundings (the emission, two additions, a product), and the
           start and the end 2 frames' worth: walk(4 (T + 2)) in s, relatively.
path       the loss is  Σ_t log1p(Σ others) - log(path sum). The first part is off by Σ_t σ_t, below, and by walk(T) of
           itself for its own additions, in s; the second, an absolute error, by the sum's. Then the loss is rounded
           once: u |loss|. Without softmax the first part is minus the sum of the frames' largest scores.
posterior  forward and backward sums, over the frame's own total of the same: ρ = walk(8 (T + 2)) in s, + reach,
           relatively.
softmax    exp of a rounded difference, a polynomial, scale: σ(k) = (8 + d) u, relatively, and σ_t its sum
           over y(k) of all classes but the frame's largest.

Gradient = y - γ, each known relatively; near 1 both are taken by their complements, p̂ = min(p, 1 - p):

    |error| <= ρ γ̂ + σ ŷ + 2 u |gradient| + classes 2^-126,

the last because entries under 2^-126 are 0. So every bound is relative to the entry's own two terms: no
absolute floor lets zeros pass for a sure model, whose y and γ are 1e-7 or 1e-30, and no frame's large entry
hides a small one's error. Upstream multiplies it all, with one rounding more. A half type's gradient is then
rounded once: 2^-11 (float16, half of 2^-24 at the least) or 2^-8 (bfloat16) of the entry.

A frontend on the whole-array formula (`seqloss.formulas.ctc.loss`) or on the Triton kernels has no float64 to turn to
where
its scores are float32: s is u, and four terms differ:

emission   exp(-d), with d rounded to u and an exp of its own, 8 u: a path is off by 4 √(Σ_t (8 + max d)²) u, relatively
           (`reach`).
softmax    the others' sum has a rounding a class: σ(k) = (8 + d) u + walk(classes).
path       the loss is certain - log(path sum), certain = Σ_t log1p(Σ others). Where the best classes read as the
           target, the path sum is 1 + rest, and rest is summed apart: log1p(rest) is off by the share
           rest / (1 + rest) of what rest is, walk(4 (T + 2)) + reach; elsewhere by all of that. Each of the two
           logarithms, their sums (Kahan's) and their difference cost 4 u of |certain| + |log path sum|.
posterior  is gathered over labels and classes in u: ρ = walk(8 (T + 2) + labels + classes) + reach.

The reference runs in `np.longdouble`; what it lacks to perfection is counted too: its logs are off by |log P|
of its own u a step. Where longdouble is no wider than float64 (some ARM hosts), that is the larger part.

References:
    N. J. Higham, T. Mary: A new approach to probabilistic rounding error analysis. SIAM J. Sci. Comput. 41(5), 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from seqloss import contract, reference
from seqloss.reference.paths import collapse
from seqloss.reference.scores import log_softmax, row_scores

from .problems import Problem

UNIT = {"float16": 2.0**-24, "bfloat16": 2.0**-24, "float32": 2.0**-24, "float64": 2.0**-53}
STORED = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 0.0)}
"""A half type's unit roundoff, and half of its smallest number where that is in reach."""

EMISSION_UNIT = 2.0**-53
REFERENCE_UNIT = float(np.finfo(np.longdouble).eps) / 2
PUBLISHED = {"cpu": (1e-6, 1e-5), "gpu": (1e-5, 1e-4), "whole-array": (1e-5, 1e-4)}
"""What the project promises of float32 gradients of up to 4000 frames: absolute, and of the row's largest entry."""


@dataclass(frozen=True)
class Bounds:
    """The largest errors that a frontend may make on a problem, and the definition's own answer."""

    loss: np.ndarray  # (batch,)
    grad: np.ndarray  # (batch, time, classes), upstream included
    expected_loss: np.ndarray
    expected_grad: np.ndarray


def bounds(problem: Problem, dtype: str, upstream: np.ndarray, kernel: str = "cpu") -> Bounds:
    """The budget above, for each loss and each entry of the gradient.

    Args:
        kernel: the frontend's, see `frontend.Frontend`.
    """
    loss, grad, _ = definition(problem)
    loss_bounds, grad_bounds = np.zeros(loss.shape), np.zeros(grad.shape)
    for n, row in _rows(problem, dtype, kernel, loss):
        loss_bounds[n] = row.loss()
        grad_bounds[n, : row.frames] = row.gradient(grad[n, : row.frames])
    weights = upstream[:, None, None]
    expected = np.where(np.isinf(loss)[:, None, None], 0.0, grad * weights)
    grad_bounds = np.abs(weights) * grad_bounds + UNIT[dtype] * np.abs(expected)
    unit, least = STORED.get(dtype, (0.0, 0.0))
    grad_bounds += unit * (np.abs(expected) + grad_bounds) + np.where(expected == 0, 0.0, least)
    return Bounds(loss_bounds, grad_bounds.astype(np.float64), loss, expected)


def posterior_bounds(problem: Problem, dtype: str, kernel: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """The definition's posteriors, (batch, time, classes), and the largest errors that a frontend may make on them."""
    loss, _, expected = definition(problem)
    allowed = np.zeros(expected.shape)
    for n, row in _rows(problem, dtype, kernel, loss):
        allowed[n, : row.frames] = row.posterior() + 2 * row.u * row.posteriors
    return expected, allowed


def definition(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reference's losses, gradients and posteriors; kept, because every frontend asks for the same ones."""
    scores = problem.logits.astype(np.float64)  # what a frontend gets is a float64 at most
    arrays = tuple((array.tobytes(), array.shape, array.dtype.str) for array in (scores, *problem.args))
    return _definition(arrays, tuple(problem.options.items()))


@lru_cache(64)
def _definition(
    arrays: tuple[tuple[bytes, tuple[int, ...], str], ...], options: tuple[tuple[str, Any], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    logits, *args = (np.frombuffer(data, kind).reshape(shape) for data, shape, kind in arrays)
    logits = logits.astype(np.longdouble)
    loss, grad = reference.ctc_loss_and_grad(logits, *args, **dict(options))
    return loss, grad, reference.ctc_posteriors(logits, *args, **dict(options))


def _rows(problem: Problem, dtype: str, kernel: str, loss: np.ndarray) -> Iterator[tuple[int, Row]]:
    """The rows that have a number for a loss; the others, NaN, or inf and 0, are compared exactly."""
    logits = problem.logits.astype(np.longdouble)
    _, _, posteriors = definition(problem)
    batch = contract.validate(logits.shape, *problem.args, blank=problem.blank)
    for n, (frames, labels) in enumerate(zip(batch.logit_lengths, batch.target_lengths, strict=True)):
        target = batch.targets[n, :labels]
        scores = row_scores(logits[n, :frames], target, batch.blank, problem.normalize)
        if scores is not None and frames and np.isfinite(loss[n]):
            gamma = posteriors[n, :frames]
            yield n, Row(scores, target, batch.blank, gamma, float(loss[n]), UNIT[dtype], problem.normalize, kernel)


@dataclass(frozen=True)
class Row:
    """One row's terms of the budget."""

    scores: np.ndarray  # (time, classes); -inf for classes that are not read
    target: np.ndarray  # (labels,)
    blank: int
    posteriors: np.ndarray  # (time, classes)
    expected: float  # the loss
    u: float
    normalize: bool
    kernel: str

    @property
    def frames(self) -> int:
        return self.scores.shape[0]

    @property
    def single(self) -> bool:
        """Whether paths are summed in the scores' own type."""
        return self.kernel != "cpu"

    @cached_property
    def top(self) -> np.ndarray:
        """(time, 1); 0 for a frame in which every class that is read is closed."""
        top = self.scores.max(axis=1, keepdims=True)
        return np.where(np.isneginf(top), 0.0, top)

    @cached_property
    def distance(self) -> np.ndarray:
        """(time, classes)"""
        return np.where(np.isneginf(self.scores), 0.0, self.top - self.scores)

    @cached_property
    def reach(self) -> float:
        furthest = self.distance.max(axis=1)
        if self.single:
            return float(4 * np.sqrt(((8 + furthest) ** 2).sum()) * self.u)
        return float(4 * np.sqrt((furthest**2).sum()) * EMISSION_UNIT)

    @cached_property
    def own(self) -> float:
        """What the reference lacks."""
        return 4 * np.sqrt(3 * self.frames) * (abs(self.expected) + 1) * REFERENCE_UNIT

    @cached_property
    def softmax(self) -> np.ndarray:
        """(time, classes)"""
        classes = walk(self.scores.shape[1], self.u) if self.single else 0.0
        return np.exp(log_softmax(self.scores)) * ((8 + self.distance) * self.u + classes)

    @cached_property
    def others(self) -> np.ndarray:
        """Of all classes but the frame's largest, (time,)."""
        rest = self.softmax.copy()
        rest[np.arange(self.frames), self.scores.argmax(axis=1)] = 0.0
        return rest.sum(axis=1)

    @cached_property
    def certain(self) -> float:
        """Minus the log probability of the frames' largest."""
        return float((-log_softmax(self.scores).max(axis=1) if self.normalize else -self.top).sum())

    def loss(self) -> float:
        off = float(self.others.sum()) if self.normalize else 0.0
        path = walk(4 * (self.frames + 2), self._sums) + self.reach
        if self.single:
            log_sum = self.certain - self.expected
            if self._spells():
                path *= max(0.0, -np.expm1(-log_sum))
            size = np.abs(self.top).sum() if not self.normalize else self.certain
            return float(off + path + self.own + 4 * self.u * (size + abs(log_sum)))
        size = self.certain if self.normalize else np.abs(self.top).sum()
        return float(off + walk(self.frames, EMISSION_UNIT) * size + path + self.own + self.u * abs(self.expected))

    def posterior(self) -> np.ndarray:
        """(time, classes)"""
        roundings = 8 * (self.frames + 2)
        if self.single:
            roundings += self.target.size + self.scores.shape[1]
        rho = walk(roundings, self._sums) + self.reach + self.own
        complements = np.minimum(self.posteriors, 1 - self.posteriors)
        return rho * complements + self.scores.shape[1] * contract.SMALLEST

    def gradient(self, grad: np.ndarray) -> np.ndarray:
        """(time, classes)"""
        bound = self.posterior() + 2 * self.u * np.abs(grad)
        if not self.normalize:
            return bound
        likely = np.exp(log_softmax(self.scores)) > 0.5
        return bound + np.where(likely, self.others[:, None], self.softmax)

    @property
    def _sums(self) -> float:
        """The unit that paths are summed in."""
        return self.u if self.single else EMISSION_UNIT

    def _spells(self) -> bool:
        """Whether the frames' largest classes read as the target."""
        return collapse(self.scores.argmax(axis=1).tolist(), self.blank) == tuple(self.target)


def walk(roundings: int, u: float) -> float:
    """What a chain of roundings may add up to."""
    return float(min(roundings, 4 * np.sqrt(roundings)) * u)
