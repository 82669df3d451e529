"""CTC by Graves' recursion: loss, posteriors and gradient, in float64, for every case of the contract.

The loss of a row is minus the log-probability of its target l, summed over all paths that collapse to it (see
`paths`). `lattice` computes the sums by state: α_t(s) over all paths to state s, β_t(s) over all paths from it. With
y = softmax(x), in logs,

    log P(l) = ⊕_{s final} α_T(s)                                      loss = -log P(l)

Every path is in exactly one state after frame t, so P(l) = Σ_s α_t(s) β_t(s). The terms of the states of class k give
the posterior, the probability of class k in frame t given the target:

    γ_t(k) = Σ_{s: l′_s = k} α_t(s) β_t(s) / Σ_s α_t(s) β_t(s)

The divisor is the sum of the frame, not P(l), so that accumulated rounding errors cancel.

**Gradient.** P(l) is linear in each y_t(k), with y_t(k) ∂P/∂y_t(k) = Σ_{s: l′_s = k} α_t(s) β_t(s) = γ_t(k)
P. Hence

    ∂loss/∂log y_t(k) = -γ_t(k)                                        normalize=False
    ∂loss/∂x_t(k)     = y_t(k) - γ_t(k)                                normalize=True

the second by ∂log y(j)/∂x(k) = [j = k] - y(k) and Σ_j γ(j) = 1.

**Precision.** In float64 the logs are off by about |log P| 2e-16 a step, posteriors by about that relatively:
1e-11 for a loss of 10,000 over 4,000 frames. For a confident model, with P = 1 - δ and δ = 1e-12, log P would keep
four digits and y - γ fewer. So for δ < 1/2, `complement` computes δ and y - γ as sums of positive terms: loss and
gradient have small relative errors for any δ. If a posterior is near 1, its gradient is minus the sum of the others.
With `normalize=False` there is no complement, as the other classes are not used: a small loss is as exact as the sum
of its scores.

To test the arithmetic, pass logits of type `np.longdouble`: all computations then use it.

References:
    Graves, Fernández, Gomez, Schmidhuber, Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks, ICML 2006, sections 4.1 and 4.2 (equations 5 to 16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seqloss import contract
from seqloss.reference.complement import emits_and_fails, fails_after
from seqloss.reference.lattice import Lattice, backward, forward, make_lattice
from seqloss.reference.scores import as_logits, log_softmax, row_scores
from seqloss.reference.semiring import LOG

SMALLEST = contract.SMALLEST
"""Smaller results are exactly 0."""


@dataclass(frozen=True)
class Row:
    """One row of a batch, without padding."""

    number: int
    scores: np.ndarray | None  # (time, classes) before softmax; None for a non-finite row
    target: np.ndarray  # (labels,)
    lattice: Lattice


def ctc_loss_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    logit_lengths: ArrayLike | None = None,
    target_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: contract.Infeasible = "inf",
) -> tuple[np.ndarray, np.ndarray]:
    """CTC loss of each row, and its gradient with respect to the logits.

    loss = -log Σ_{π ∈ B⁻¹(l)} Π_t y_t(π_t),  gradient = y - γ (`normalize=False`: -γ).

    Args:
        logits: (batch, time, classes) floats: scores before softmax, or log-probabilities with `normalize=False`.
        targets: (batch, labels) integers, or concatenated labels.
        logit_lengths: (batch,) frames in use; None for all.
        target_lengths: (batch,) labels in use; None for all.
        blank: class of the blank; negative counts from the end.
        normalize: apply softmax.
        infeasible: for rows that no path fits: "inf" (loss inf, gradient 0), "zero" (both 0) or "raise".

    Returns:
        loss (batch,) in nats and its gradient (batch, time, classes) with respect to the logits, float64.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than its axis.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        OptionError: `infeasible` is unknown.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.

    Example:
        Of the four paths of two frames and two classes, three collapse to [1]:

        >>> loss, grad = ctc_loss_and_grad(np.zeros((1, 2, 2)), [[1]])
        >>> bool(np.isclose(loss[0], np.log(4 / 3)))
        True
        >>> grad.round(3).tolist()
        [[[0.167, -0.167], [0.167, -0.167]]]
    """
    contract.check_options(infeasible, "none", None)
    logits = as_logits(logits)
    batch = contract.validate(logits.shape, targets, logit_lengths, target_lengths, blank=blank)
    loss, grad = np.zeros(len(logits), logits.dtype), np.zeros_like(logits)
    for row in iterate_rows(logits, batch, normalize):
        n, frames = row.number, slice(0, batch.logit_lengths[row.number])
        if row.scores is None:
            loss[n], grad[n, frames] = np.nan, np.nan
            continue
        loss[n], grad[n, frames] = _loss_and_grad(row.scores, row.lattice, normalize)
        if loss[n] == np.inf:
            loss[n] = infeasible_value(n, batch, infeasible, np.inf)
    return flush_small_values(loss), flush_small_values(grad)


def ctc_posteriors(
    logits: ArrayLike,
    targets: ArrayLike,
    logit_lengths: ArrayLike | None = None,
    target_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: contract.Infeasible = "inf",
) -> np.ndarray:
    """Posteriors: the probability of class k in frame t, given the target (γ).

    Args:
        logits: (batch, time, classes) floats: scores before softmax, or log-probabilities with `normalize=False`.
        targets: (batch, labels) integers, or concatenated labels.
        logit_lengths: (batch,) frames in use; None for all.
        target_lengths: (batch,) labels in use; None for all.
        blank: class of the blank; negative counts from the end.
        normalize: apply softmax.
        infeasible: "raise" for an error; otherwise rows that no path fits are 0.

    Returns:
        (batch, time, classes) float64. Each frame in use sums to 1, or is NaN in a non-finite row; padding is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than its axis.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        OptionError: `infeasible` is unknown.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.

    Example:
        >>> ctc_posteriors(np.zeros((1, 2, 2)), [[1]]).round(3).tolist()
        [[[0.333, 0.667], [0.333, 0.667]]]
    """
    contract.check_options(infeasible, "none", None)
    logits = as_logits(logits)
    batch = contract.validate(logits.shape, targets, logit_lengths, target_lengths, blank=blank)
    shares = np.zeros_like(logits)
    for row in iterate_rows(logits, batch, normalize):
        n, frames = row.number, slice(0, batch.logit_lengths[row.number])
        if row.scores is None:
            shares[n, frames] = np.nan
            continue
        log_probs = log_softmax(row.scores) if normalize else row.scores
        log_total, shares[n, frames] = total_and_posteriors(log_probs, row.lattice)
        if log_total == -np.inf:
            infeasible_value(n, batch, infeasible, 0.0)
    return flush_small_values(shares)


def total_and_posteriors(log_probs: np.ndarray, lattice: Lattice) -> tuple[float, np.ndarray]:
    """Log-probability of the target, and posteriors (time, classes), of one row.

    Args:
        log_probs: (time, classes), log y.
        lattice: the target's states.

    Returns:
        log P(l) and γ; -inf and zeros when no path of positive probability fits.

    Example:
        >>> log_total, _ = total_and_posteriors(np.log(np.full((2, 2), 0.5)), make_lattice([1], 0))
        >>> bool(np.isclose(np.exp(log_total), 3 / 4))
        True
    """
    emissions = log_probs[:, lattice.classes]  # (time, states)
    alphas = forward(emissions, lattice, LOG)  # (time + 1, states)
    log_total = np.logaddexp.reduce(alphas[-1][lattice.final])
    if log_total == -np.inf:
        return log_total, np.zeros_like(log_probs)
    through = (alphas + backward(emissions, lattice, LOG))[1:]  # (time, states), log α_t(s) β_t(s)
    shares = np.exp(through - through.max(axis=1, keepdims=True)) @ lattice.one_hot(log_probs.shape[1])
    return log_total, shares / shares.sum(axis=1, keepdims=True)  # (time, classes)


def _loss_and_grad(scores: np.ndarray, lattice: Lattice, normalize: bool) -> tuple[float, np.ndarray]:
    log_probs = log_softmax(scores) if normalize else scores
    log_total, posteriors = total_and_posteriors(log_probs, lattice)
    if log_total == -np.inf:
        return np.inf, posteriors
    if not normalize:
        return -log_total, -posteriors
    probs = np.exp(log_probs)
    fails = fails_after(probs, lattice)
    failing = fails[0, 0]  # δ
    if failing < 0.5:
        grad = emits_and_fails(probs, lattice, fails) - posteriors * failing
        return -np.log1p(-failing), balance_gradient(grad, posteriors)
    return -log_total, balance_gradient(probs - posteriors, posteriors)


def balance_gradient(grad: np.ndarray, posteriors: np.ndarray) -> np.ndarray:
    """Where a posterior is above 1/2, set its gradient to minus the sum of the others in the frame.

    Example:
        >>> balance_gradient(np.array([[0.0, 1e-30, 1e-30]]), np.array([[1.0, 0.0, 0.0]])).tolist()
        [[-2e-30, 1e-30, 1e-30]]
    """
    frames = np.flatnonzero(posteriors.max(axis=1) > 0.5)
    surest = posteriors.argmax(axis=1)[frames]
    balanced = grad.copy()
    balanced[frames, surest] = 0.0
    balanced[frames, surest] = -balanced[frames].sum(axis=1)
    return balanced


def iterate_rows(logits: np.ndarray, batch: contract.Batch, normalize: bool) -> Iterator[Row]:
    """The rows of a batch without padding, with preprocessed scores.

    Raises:
        NormalizationError: `normalize=False`, and scores that are not log-probabilities.

    Example:
        >>> batch = contract.validate((1, 3, 2), [[1, 1]], [2], [1])
        >>> [(row.scores.shape, row.target.tolist()) for row in iterate_rows(np.zeros((1, 3, 2)), batch, True)]
        [((2, 2), [1])]
    """
    rows = []
    for n, (frames, labels) in enumerate(zip(batch.logit_lengths, batch.target_lengths, strict=True)):
        target = batch.targets[n, :labels]
        scores = row_scores(logits[n, :frames], target, batch.blank, normalize)
        rows.append(Row(n, scores, target, make_lattice(target, batch.blank)))
    if not normalize:
        contract.check_normalized(logits, batch.logit_lengths)
    return iter(rows)


def infeasible_value(row: int, batch: contract.Batch, infeasible: contract.Infeasible, value: float) -> float:
    """The result for a row that no path fits: `value`, or 0, or an `InfeasibleError`.

    Example:
        >>> batch = contract.validate((1, 1, 2), [[1, 1]])
        >>> infeasible_value(0, batch, "zero", np.inf)
        0.0
    """
    if infeasible == "raise":
        raise contract.infeasible_row(row, batch)
    return 0.0 if infeasible == "zero" else value


def flush_small_values(values: np.ndarray) -> np.ndarray:
    """Turn values smaller than `SMALLEST` into exactly 0.

    Example:
        >>> flush_small_values(np.array([1e-37, -1e-39, np.nan]))
        array([1.e-37, 0.e+00,    nan])
    """
    return np.where(np.abs(values) < SMALLEST, 0.0, values)
