"""Laws about edge cases: scores of -inf, masks, NaN, empty targets."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.definition import reference_loss_and_grad
from seqloss.verify.laws.edge_problems import (
    with_extreme_scores,
    with_mask,
    with_minus_inf,
    with_nan,
    with_nan_padding,
    without_labels,
)
from seqloss.verify.laws.law import (
    Law,
    Violation,
    format_number,
    gradient_violation,
    loss_violation,
    non_finite_violation,
    with_severity,
)
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Outputs, Runner
from seqloss.verify.severity import CARELESS, WRONG


def check_reference(
    runner: Runner, problem: Problem, why: str, special: np.ndarray | None = None, unclear: np.ndarray | None = None
) -> Violation | None:
    """Compares loss and gradient with the reference, infinities included.

    Args:
        runner: calls the implementation.
        problem: the arguments.
        why: the reason for the expected values.
        special: bool (batch,), rows in which NaN is careless. It is wrong in the others, and so is another number.
        unclear: bool (batch,), rows in which any result is at most careless.

    Returns:
        a wrong value, else a careless one, else None.
    """
    answer, expected = runner.outputs(problem), Outputs(*reference_loss_and_grad(runner, problem))
    nowhere = np.zeros(len(problem.logits), bool)
    special, unclear = nowhere if special is None else special, nowhere if unclear is None else unclear
    loss = np.where((special & np.isnan(answer.loss)) | unclear, expected.loss, answer.loss)
    gradient = answer.gradient
    if gradient is not None and expected.gradient is not None:
        excused = (special[:, None, None] & ~np.isfinite(gradient)) | unclear[:, None, None]
        gradient = np.where(excused, expected.gradient, gradient)
    wrong = with_severity(WRONG, _compare(runner, problem, Outputs(loss, gradient), expected, why))
    return wrong or with_severity(CARELESS, _compare(runner, problem, answer, expected, why))


def _compare(runner: Runner, problem: Problem, answer: Outputs, expected: Outputs, why: str) -> Violation | None:
    violation = loss_violation(problem, answer.loss, expected.loss, runner.loss_tolerance(problem), why)
    if violation is not None or answer.gradient is None:
        return violation
    assert expected.gradient is not None
    return non_finite_violation(problem, answer.gradient, why) or gradient_violation(
        problem, answer.gradient, expected.gradient, runner.gradient_tolerance(problem), why
    )


def check_closed_scores(runner: Runner, problem: Problem) -> Violation | None:
    """NaN is careless in rows with -inf."""
    special = np.isinf(problem.logits).any(axis=(1, 2))
    return check_reference(runner, problem, "a score of -inf removes the paths through it, and no others", special)


def check_masked(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(runner, problem, "a mask of -1e4 is a finite score: the loss follows from it")


def check_extreme_scores(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(
        runner, problem, "scores that are hundreds of nats apart are finite: the loss follows from them"
    )


def check_empty(runner: Runner, problem: Problem) -> Violation | None:
    """NaN is careless in rows without labels, and any result in rows without frames."""
    why = "the only path of an empty target is all blanks; without frames, its probability is 1"
    return check_reference(runner, problem, why, problem.target_lengths == 0, problem.logit_lengths == 0)


def check_nan_in_padding(runner: Runner, problem: Problem) -> Violation | None:
    """NaN is careless in rows with NaN or invalid labels in their padding."""
    invalid = (problem.targets < 0) | (problem.targets >= problem.logits.shape[2])
    special = np.isnan(problem.logits).any(axis=(1, 2)) | invalid.any(axis=1)
    why = "values past the lengths do not matter, including NaN and invalid labels"
    return check_reference(runner, problem, why, special)


def check_nan_in_a_row(runner: Runner, problem: Problem) -> Violation | None:
    """Other rows are correct. The row with NaN has a loss of NaN; a number there is careless."""
    answer = runner.outputs(problem)
    loss, gradient = reference_loss_and_grad(runner, problem)
    special = np.isnan(loss)
    why = "NaN in a row makes its loss NaN, and does not affect other rows"
    others = compare_rows(runner, problem, answer, Outputs(loss, gradient), ~special, why)
    hidden = np.flatnonzero(special & ~np.isnan(answer.loss))
    if others is not None or not len(hidden):
        return with_severity(WRONG, others)
    n = int(hidden[0])
    return Violation(problem, f"row {n}: loss nan", f"row {n}: loss {format_number(answer.loss[n])}", why)


def compare_rows(
    runner: Runner, problem: Problem, answer: Outputs, expected: Outputs, rows: np.ndarray, why: str
) -> Violation | None:
    """The violation in these rows, bool (batch,)."""
    losses = [np.where(rows, values, 0.0) for values in (answer.loss, expected.loss)]
    violation = loss_violation(problem, losses[0], losses[1], runner.loss_tolerance(problem), why)
    if violation is not None or answer.gradient is None or expected.gradient is None:
        return violation
    slopes = [np.where(rows[:, None, None], values, 0.0) for values in (answer.gradient, expected.gradient)]
    return gradient_violation(problem, slopes[0], slopes[1], runner.gradient_tolerance(problem), why)


CLOSED_SCORES = Law(
    "closed-scores",
    "A score of -inf removes the paths through it, and no others.",
    check_closed_scores,
    with_minus_inf,
    severity=CARELESS,
)
MASKED = Law(
    "masked", "For a class masked with -10,000 or less, loss = -log P(y) still holds.", check_masked, with_mask
)
EXTREME_SCORES = Law(
    "extreme-scores",
    "For scores hundreds of nats apart, loss = -log P(y) still holds.",
    check_extreme_scores,
    with_extreme_scores,
)
NAN_IN_PADDING = Law(
    "nan-in-padding",
    "NaN and invalid labels past the lengths do not affect loss and gradient.",
    check_nan_in_padding,
    with_nan_padding,
    frozenset({"lengths"}),
    severity=CARELESS,
)
NAN_IN_A_ROW = Law(
    "nan-in-a-row",
    "NaN in a row gives loss[n] = NaN, and does not affect other rows.",
    check_nan_in_a_row,
    with_nan,
    severity=CARELESS,
)
EMPTY = Law(
    "empty",
    "loss = -sum_t log p[t, blank] for an empty target; 0 frames, 0 rows and one class work.",
    check_empty,
    without_labels,
    severity=CARELESS,
)
