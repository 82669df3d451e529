"""Against the definition: all paths listed where they are few, else Graves' recursion in float64."""

from __future__ import annotations

import numpy as np

from seqloss.reference import ctc_loss_and_grad, paths
from seqloss.verify.laws.gradients import FEW
from seqloss.verify.laws.law import Breach, Law, gradient_breach, loss_breach, number
from seqloss.verify.ordinary import ordinary
from seqloss.verify.problem import Problem
from seqloss.verify.witness import Witness, log_softmax

ROUGH = 1e-2
"""An answer that is as near as this is right, but for its digits."""


PRECISE = 1e-3
"""What a float32 gradient over thousands of frames may be off; logarithms alone were seen at 6e-2."""


def truth(witness: Witness, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Loss and gradient by the definition, for scores as this subject takes them."""
    loss, gradient = ctc_loss_and_grad(
        problem.logits,
        np.where(np.arange(problem.targets.shape[1]) < problem.target_lengths[:, None], problem.targets, 0),
        problem.logit_lengths,
        problem.target_lengths,
        blank=problem.blank,
        normalize=witness.subject.scores == "logits",
    )
    weights = 1.0 if problem.upstream is None else problem.upstream[:, None, None]
    return loss, gradient * weights


def digits(witness: Witness, problem: Problem) -> Breach | None:
    """Only if all ordinary problems are right to 1 %: whatever is further off breaks another law."""
    worst, shown = 0.0, None
    for given in ordinary(witness.subject.few_shapes):
        one = witness.fit(given)
        answer = witness.ask(one)
        loss, gradient = truth(witness, one)
        off = float((np.abs(answer.loss - loss) / (1 + loss)).max())
        if answer.gradient is not None:
            off = max(off, float(np.abs(answer.gradient - gradient).max()))
        if off > ROUGH:
            return None
        if off > worst:
            worst, shown = off, one
    if shown is None:
        return None
    why = f"right to {number(worst)} only: {witness.dtype} scores deserve to be summed in {witness.dtype}"
    return _apart(witness, shown, *truth(witness, shown), why)


def definition(witness: Witness, problem: Problem) -> Breach | None:
    loss, gradient = truth(witness, problem)
    found = _apart(witness, problem, loss, gradient, "minus the log of the sum over all paths (Graves 2006, eq. 8)")
    if found is not None:
        return found
    for n, labels in enumerate(problem.label_rows()):
        one = problem.alone(n)
        if one.logits.shape[2] ** one.logits.shape[1] > FEW or one.logits.shape[1] == 0:
            continue
        scores = one.logits if witness.subject.scores == "log_probs" else log_softmax(one.logits)
        listed = -paths.total(scores[0], labels, one.blank)
        answer = witness.ask(one)
        why = f"the sum over all {one.logits.shape[2]}^{one.logits.shape[1]} paths, listed one by one"
        breach = loss_breach(one, answer.loss, np.array([listed]), witness.loss_tolerance(one), why)
        if breach is not None:
            return breach
    return None


def _apart(witness: Witness, problem: Problem, loss: np.ndarray, gradient: np.ndarray, why: str) -> Breach | None:
    answer = witness.ask(problem)
    breach = loss_breach(problem, answer.loss, loss, witness.loss_tolerance(problem), why)
    if breach is None and answer.gradient is not None:
        breach = gradient_breach(problem, answer.gradient, gradient, witness.gradient_tolerance(problem), why)
    return breach


def precise(witness: Witness, problem: Problem) -> Breach | None:
    """What wide numbers or float64 inside reach, and float32 logarithms over thousands of frames do not."""
    answer = witness.ask(problem)
    loss, gradient = truth(witness, problem)
    why = (
        f"{problem.shape[1]} frames, {problem.shape[3]} labels: rounding must not pile up, as it does in sums of "
        "float32 logarithms; whoever never has so many frames says --without long"
    )
    breach = loss_breach(problem, answer.loss, loss, 1e-5 * (1 + loss), why)
    if breach is None and answer.gradient is not None:
        breach = gradient_breach(problem, answer.gradient, gradient, np.array(PRECISE), why)
    return breach


DIGITS = Law("digits", "What is right is right to the last digits of its type.", digits, search=False)
DEFINITION = Law("definition", "The loss is minus the log of the sum over all paths.", definition)
SIZES = Law("sizes", "All of it holds at any size.", definition, search=False, sizes=True)
LONG = Law("long", "Thousands of frames cost no precision: gradients within 1e-3.", precise, search=False)
