"""Laws about values: loss and gradient agree with the reference implementation."""

from __future__ import annotations

import numpy as np

from seqloss.reference import ctc_loss_and_grad, paths
from seqloss.verify.laws.gradients import FEW
from seqloss.verify.laws.law import (
    Law,
    Violation,
    format_number,
    gradient_violation,
    loss_violation,
    with_severity,
)
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, log_softmax
from seqloss.verify.severity import CARELESS
from seqloss.verify.standard_problems import standard_problems

ROUGH = 1e-2
"""A result with a smaller error is correct up to its precision."""

PRECISE = 1e-3
"""Tolerance of the law `long`. Float32 logarithms have errors up to 6e-2."""


def reference_loss_and_grad(runner: Runner, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The exact loss and gradient; for infeasible rows, what the implementation promises."""
    loss, gradient = exact_loss_and_grad(runner, problem)
    replaced = (loss == np.inf) & runner.implementation.zero_infinity
    return np.where(replaced, 0.0, loss), np.where(replaced[:, None, None], 0.0, gradient)


def exact_loss_and_grad(runner: Runner, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Loss and gradient of the float64 reference, for the kind of scores that the implementation takes."""
    loss, gradient = ctc_loss_and_grad(
        problem.logits,
        np.where(np.arange(problem.targets.shape[1]) < problem.target_lengths[:, None], problem.targets, 0),
        problem.logit_lengths,
        problem.target_lengths,
        blank=problem.blank,
        normalize=runner.implementation.scores == "logits",
    )
    weights = 1.0 if problem.upstream is None else problem.upstream[:, None, None]
    return loss, gradient * weights


def beyond_masks(problem: Problem, found: np.ndarray) -> np.ndarray:
    """bool (batch,): rows with masks below -1e8, for which both inf and a loss above 1e8 are correct."""
    lowest = np.array([row.min(initial=0.0) for row in problem.logits])
    return np.isfinite(lowest) & (lowest < -1e8) & (found > 1e8)


def check_digits(runner: Runner, problem: Problem) -> Violation | None:
    """Checks only implementations whose errors on all standard problems are below 1 %. Others violate another law."""
    worst, shown = 0.0, None
    for given in standard_problems(runner.implementation.few_shapes):
        one = runner.adapt(given)
        answer = runner.finite_outputs(one)
        loss, gradient = reference_loss_and_grad(runner, one)
        off = float((np.abs(answer.loss - loss) / (1 + loss)).max())
        if answer.gradient is not None:
            off = max(off, float(np.abs(answer.gradient - gradient).max()))
        if off > ROUGH:
            return None
        if off > worst:
            worst, shown = off, one
    why = f"the error is {format_number(worst)}: {runner.dtype} logits need sums in {runner.dtype}"
    found = (
        None
        if shown is None
        else loss_or_gradient_violation(runner, shown, *reference_loss_and_grad(runner, shown), why)
    )
    if found is not None or not runner.narrowed:
        return found
    why = "it converts the logits to float32: it is verified in float32, as with --dtype float32"
    return Violation(problem, "results in float64", "those of float32 logits", why, severity=CARELESS)


def check_definition(runner: Runner, problem: Problem) -> Violation | None:
    loss, gradient = reference_loss_and_grad(runner, problem)
    found = loss_or_gradient_violation(
        runner, problem, loss, gradient, "loss = -log of the sum over all paths (Graves 2006, eq. 8)"
    )
    if found is not None:
        return found
    for n, labels in enumerate(problem.label_rows()):
        one = problem.unpadded_row(n)
        if one.logits.shape[2] ** one.logits.shape[1] > FEW or one.logits.shape[1] == 0:
            continue
        scores = one.logits if runner.implementation.scores == "log_probs" else log_softmax(one.logits)
        listed = -paths.log_probability(scores[0], labels, one.blank)
        answer = runner.finite_outputs(one)
        why = f"the sum over all {one.logits.shape[2]}^{one.logits.shape[1]} paths, each computed by itself"
        violation = loss_violation(one, answer.loss, np.array([listed]), runner.loss_tolerance(one), why)
        if violation is not None:
            return violation
    return None


def loss_or_gradient_violation(
    runner: Runner, problem: Problem, loss: np.ndarray, gradient: np.ndarray, why: str
) -> Violation | None:
    """The violation for a loss, else for a gradient, beyond the rounding of the type of the logits."""
    answer = runner.finite_outputs(problem)
    violation = loss_violation(problem, answer.loss, loss, runner.loss_tolerance(problem), why)
    if violation is None and answer.gradient is not None:
        violation = gradient_violation(problem, answer.gradient, gradient, runner.gradient_tolerance(problem), why)
    return violation


def check_long(runner: Runner, problem: Problem) -> Violation | None:
    """Extended-exponent numbers and float64 satisfy it; float32 logarithms over thousands of frames do not.

    An error within the tolerance of a correct computation with float32 logarithms is careless.
    """
    answer = runner.finite_outputs(problem)
    loss, gradient = reference_loss_and_grad(runner, problem)
    why = (
        f"{problem.shape[1]} frames, {problem.shape[3]} labels: rounding errors must not add up, as they do for "
        "float32 logarithms; skip this law with --without long if you have few frames"
    )
    wrong = loss_or_gradient_violation(runner, problem, loss, gradient, why)
    if wrong is not None:
        return wrong
    violation = loss_violation(problem, answer.loss, loss, 1e-5 * (1 + loss), why)
    if violation is None and answer.gradient is not None:
        violation = gradient_violation(problem, answer.gradient, gradient, np.array(PRECISE), why)
    return with_severity(CARELESS, violation)


DIGITS = Law("digits", "Errors are at most the rounding errors of the type of the logits.", check_digits, search=False)
DEFINITION = Law(
    "definition",
    "loss = -log P(y), where P(y) is the sum of prod_t p[t, path[t]] over all paths that collapse to y.",
    check_definition,
)
SIZES = Law(
    "sizes",
    "loss = -log P(y) at any size: around 0, 1 and powers of two.",
    check_definition,
    search=False,
    exact_shapes=True,
)
LONG = Law("long", "Over thousands of frames, gradients have errors of at most 1e-3.", check_long, search=False)
