"""Against the definition: all paths listed where they are few, else Graves' recursion in float64."""

from __future__ import annotations

import numpy as np

from seqloss.reference import ctc_loss_and_grad, paths
from seqloss.verify.laws.gradients import FEW
from seqloss.verify.laws.law import Law, Violation, gradient_breach, loss_breach, number
from seqloss.verify.ordinary import ordinary
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, log_softmax

ROUGH = 1e-2
"""An answer that is as near as this is right, but for its digits."""


PRECISE = 1e-3
"""What a float32 gradient over thousands of frames may be off; logarithms alone were seen at 6e-2."""


def truth(runner: Runner, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Loss and gradient by the definition, for scores as this implementation takes them."""
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


def digits(runner: Runner, problem: Problem) -> Violation | None:
    """Only if all ordinary problems are right to 1 %: whatever is further off breaks another law."""
    worst, shown = 0.0, None
    for given in ordinary(runner.implementation.few_shapes):
        one = runner.fit(given)
        answer = runner.ask(one)
        loss, gradient = truth(runner, one)
        off = float((np.abs(answer.loss - loss) / (1 + loss)).max())
        if answer.gradient is not None:
            off = max(off, float(np.abs(answer.gradient - gradient).max()))
        if off > ROUGH:
            return None
        if off > worst:
            worst, shown = off, one
    if shown is None:
        return None
    why = f"right to {number(worst)} only: {runner.dtype} scores deserve to be summed in {runner.dtype}"
    return _apart(runner, shown, *truth(runner, shown), why)


def definition(runner: Runner, problem: Problem) -> Violation | None:
    loss, gradient = truth(runner, problem)
    found = _apart(runner, problem, loss, gradient, "minus the log of the sum over all paths (Graves 2006, eq. 8)")
    if found is not None:
        return found
    for n, labels in enumerate(problem.label_rows()):
        one = problem.alone(n)
        if one.logits.shape[2] ** one.logits.shape[1] > FEW or one.logits.shape[1] == 0:
            continue
        scores = one.logits if runner.implementation.scores == "log_probs" else log_softmax(one.logits)
        listed = -paths.total(scores[0], labels, one.blank)
        answer = runner.ask(one)
        why = f"the sum over all {one.logits.shape[2]}^{one.logits.shape[1]} paths, listed one by one"
        violation = loss_breach(one, answer.loss, np.array([listed]), runner.loss_tolerance(one), why)
        if violation is not None:
            return violation
    return None


def _apart(runner: Runner, problem: Problem, loss: np.ndarray, gradient: np.ndarray, why: str) -> Violation | None:
    answer = runner.ask(problem)
    violation = loss_breach(problem, answer.loss, loss, runner.loss_tolerance(problem), why)
    if violation is None and answer.gradient is not None:
        violation = gradient_breach(problem, answer.gradient, gradient, runner.gradient_tolerance(problem), why)
    return violation


def precise(runner: Runner, problem: Problem) -> Violation | None:
    """What wide numbers or float64 inside reach, and float32 logarithms over thousands of frames do not."""
    answer = runner.ask(problem)
    loss, gradient = truth(runner, problem)
    why = (
        f"{problem.shape[1]} frames, {problem.shape[3]} labels: rounding must not pile up, as it does in sums of "
        "float32 logarithms; whoever never has so many frames says --without long"
    )
    violation = loss_breach(problem, answer.loss, loss, 1e-5 * (1 + loss), why)
    if violation is None and answer.gradient is not None:
        violation = gradient_breach(problem, answer.gradient, gradient, np.array(PRECISE), why)
    return violation


DIGITS = Law("digits", "What is right is right to the last digits of its type.", digits, search=False)
DEFINITION = Law("definition", "The loss is minus the log of the sum over all paths.", definition)
SIZES = Law("sizes", "All of it holds at any size.", definition, search=False, sizes=True)
LONG = Law("long", "Thousands of frames cost no precision: gradients within 1e-3.", precise, search=False)
