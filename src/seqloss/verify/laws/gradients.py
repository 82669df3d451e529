"""The gradient is that of the loss."""

from __future__ import annotations

import numpy as np

from seqloss.reference import ctc_posteriors, paths
from seqloss.verify.laws.law import Law, Violation, gradient_breach, number
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, log_softmax, rounded

STEP = {"float64": 1e-4, "float32": 1e-2, "float16": 0.06, "bfloat16": 0.25}
CLOSE = {"float64": 1e-6, "float32": 5e-3, "float16": 5e-3, "bfloat16": 0.02}
"""What central differences may be off: STEP^2 / 6 times a third derivative near 1; the losses' rounding / STEP."""

FEW = 81
"""Paths that are few enough to be listed."""


def rows_sum_to_0(runner: Runner, problem: Problem) -> Violation | None:
    gradient = runner.ask(problem).gradient
    assert gradient is not None
    sums = gradient.sum(axis=2)
    allowed = problem.logits.shape[2] * runner.gradient_tolerance(problem)[:, :, 0]
    if not (np.abs(sums) > allowed).any():
        return None
    n, t = (int(i) for i in np.argwhere(np.abs(sums) > allowed)[0])
    where = f"row {n}, frame {t}: "
    why = "a constant added to a frame changes nothing, so the gradient of a frame adds up to 0"
    if np.allclose(sums[sums != 0], -1, atol=1e-3):
        why += (
            "; -1 is what the gradient by log-probabilities adds up to: gradient - softmax * its sum is that by scores"
        )
    shows = "gradient.sum(axis=2)"
    return Violation(problem, where + "a sum of 0", where + f"a sum of {number(sums[n, t])}", why, shows=shows)


def finite_differences(runner: Runner, problem: Problem) -> Violation | None:
    """Of the first row, all scores at once: each row of a batch has one changed, by what rounding leaves of a step."""
    one = problem.alone(0)
    _, time, classes, _ = one.shape
    count = time * classes
    bumps = np.concatenate([np.eye(count), -np.eye(count)]).reshape(-1, time, classes) * STEP[runner.dtype]
    many = one.pick([0] * len(bumps))
    bumped = many.but(logits=rounded(many.logits + bumps, runner.dtype))
    moved = np.abs(bumped.logits - many.logits).sum(axis=(1, 2))
    losses = runner.ask(bumped).loss
    with np.errstate(invalid="ignore"):  # infinite losses, where there should be none
        slopes = (losses[:count] - losses[count:]) / (moved[:count] + moved[count:])
    gradient = runner.ask(one).gradient
    assert gradient is not None
    why = "the gradient is how much the loss changes with a score"
    close = np.array(CLOSE[runner.dtype])
    return gradient_breach(one, gradient, slopes.reshape(1, time, classes), close, why)


def softmax_minus_posterior(runner: Runner, problem: Problem) -> Violation | None:
    gradient = runner.ask(problem).gradient
    assert gradient is not None
    expected = np.zeros_like(gradient)
    scores = log_softmax(problem.logits)
    softmax = np.exp(scores) if runner.implementation.scores == "logits" else 0.0
    posteriors = posteriors_of(problem)
    inside = np.arange(expected.shape[1])[None, :, None] < problem.logit_lengths[:, None, None]
    expected = np.where(inside, softmax - posteriors, 0.0)
    why = "softmax minus posterior is the gradient by the scores"
    if runner.implementation.scores == "log_probs":
        why = "minus the posterior is the gradient by log-probabilities"
    return gradient_breach(problem, gradient, expected, runner.gradient_tolerance(problem), why)


def posteriors_of(problem: Problem) -> np.ndarray:
    """By listing all paths where they are few, else by the definition's recursion."""
    result = np.zeros(problem.logits.shape)
    for n, labels in enumerate(problem.label_rows()):
        one = problem.alone(n)
        scores = log_softmax(one.logits)
        frames = scores.shape[1]
        if scores.shape[2] ** frames <= FEW:
            result[n, :frames] = paths.posteriors(scores[0], labels, one.blank)
        else:
            result[n, :frames] = ctc_posteriors(scores, one.targets, blank=one.blank, normalize=False)[0]
    return result


FINITE_DIFFERENCES = Law(
    "finite-differences", "The gradient is the loss' slope.", finite_differences, needs=frozenset({"gradient"})
)
SOFTMAX_MINUS_POSTERIOR = Law(
    "softmax-minus-posterior",
    "The gradient is softmax minus posterior.",
    softmax_minus_posterior,
    needs=frozenset({"gradient"}),
)
ROWS_SUM_TO_0 = Law(
    "rows-sum-to-0",
    "Each frame's gradient adds up to 0.",
    rows_sum_to_0,
    needs=frozenset({"gradient", "logits"}),
)
