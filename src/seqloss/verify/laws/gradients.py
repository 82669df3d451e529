"""Laws about gradients."""

from __future__ import annotations

import numpy as np

from seqloss.reference import ctc_posteriors, paths
from seqloss.verify.laws.law import Law, Violation, format_number, gradient_violation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, log_softmax, round_to_dtype

STEP = {"float64": 1e-4, "float32": 1e-2, "float16": 0.06, "bfloat16": 0.25}
CLOSE = {"float64": 1e-6, "float32": 5e-3, "float16": 5e-3, "bfloat16": 0.02}
"""Tolerance of central differences: STEP^2 / 6 times a third derivative near 1, and the rounding of a loss / STEP."""

FEW = 81
"""Up to so many paths, posteriors are computed by listing the paths."""


def check_rows_sum_to_0(runner: Runner, problem: Problem) -> Violation | None:
    gradient = runner.finite_outputs(problem).gradient
    assert gradient is not None
    sums = gradient.sum(axis=2)
    allowed = problem.logits.shape[2] * runner.gradient_tolerance(problem)[:, :, 0]
    if not (np.abs(sums) > allowed).any():
        return None
    n, t = (int(i) for i in np.argwhere(np.abs(sums) > allowed)[0])
    where = f"row {n}, frame {t}: "
    why = "a constant added to a frame does not change the loss, so the gradient of a frame sums to 0"
    if np.allclose(sums[sums != 0], -1, atol=1e-3):
        why += "; the gradient with respect to log-probabilities sums to -1: add softmax to it"
    expression = "gradient.sum(axis=2)"
    return Violation(
        problem, where + "a sum of 0", where + f"a sum of {format_number(sums[n, t])}", why, expression=expression
    )


def check_finite_differences(runner: Runner, problem: Problem) -> Violation | None:
    """For all scores of the first row in one batch: each row of the batch has one score changed."""
    one = problem.unpadded_row(0)
    _, time, classes, _ = one.shape
    count = time * classes
    bumps = np.concatenate([np.eye(count), -np.eye(count)]).reshape(-1, time, classes) * STEP[runner.dtype]
    many = one.select_rows([0] * len(bumps))
    bumped = many.replace(logits=round_to_dtype(many.logits + bumps, runner.dtype))
    moved = np.abs(bumped.logits - many.logits).sum(axis=(1, 2))
    losses = runner.finite_outputs(bumped).loss
    with np.errstate(invalid="ignore"):  # infinite losses of a wrong implementation
        slopes = (losses[:count] - losses[count:]) / (moved[:count] + moved[count:])
    gradient = runner.finite_outputs(one).gradient
    assert gradient is not None
    why = "the gradient is the derivative of the loss: (loss(x + h) - loss(x - h)) / 2h"
    close = np.array(CLOSE[runner.dtype])
    return gradient_violation(one, gradient, slopes.reshape(1, time, classes), close, why)


def check_softmax_minus_posterior(runner: Runner, problem: Problem) -> Violation | None:
    gradient = runner.finite_outputs(problem).gradient
    assert gradient is not None
    expected = np.zeros_like(gradient)
    scores = log_softmax(problem.logits)
    softmax = np.exp(scores) if runner.implementation.scores == "logits" else 0.0
    posteriors = posteriors_of(problem)
    inside = np.arange(expected.shape[1])[None, :, None] < problem.logit_lengths[:, None, None]
    expected = np.where(inside, softmax - posteriors, 0.0)
    why = "gradient = softmax - posterior"
    if runner.implementation.scores == "log_probs":
        why = "gradient with respect to log-probabilities = -posterior"
    return gradient_violation(problem, gradient, expected, runner.gradient_tolerance(problem), why)


def posteriors_of(problem: Problem) -> np.ndarray:
    """Posteriors (batch, time, classes): from all paths if they are few, else from the reference recursion."""
    result = np.zeros(problem.logits.shape)
    for n, labels in enumerate(problem.label_rows()):
        one = problem.unpadded_row(n)
        scores = log_softmax(one.logits)
        frames = scores.shape[1]
        if scores.shape[2] ** frames <= FEW:
            result[n, :frames] = paths.posteriors(scores[0], labels, one.blank)
        else:
            result[n, :frames] = ctc_posteriors(scores, one.targets, blank=one.blank, normalize=False)[0]
    return result


FINITE_DIFFERENCES = Law(
    "finite-differences",
    "gradient = (loss(x + h) - loss(x - h)) / 2h.",
    check_finite_differences,
    needs=frozenset({"gradient"}),
)
SOFTMAX_MINUS_POSTERIOR = Law(
    "softmax-minus-posterior",
    "gradient[t, k] = p[t, k] - P(path[t] = k given y).",
    check_softmax_minus_posterior,
    needs=frozenset({"gradient"}),
)
ROWS_SUM_TO_0 = Law(
    "rows-sum-to-0",
    "sum_k gradient[t, k] = 0 for each frame t.",
    check_rows_sum_to_0,
    needs=frozenset({"gradient", "logits"}),
)
