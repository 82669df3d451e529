"""The law about infeasible targets: a loss of inf, or of 0 where that is promised (`Implementation.zero_infinity`)."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.definition import beyond_masks, exact_loss_and_grad
from seqloss.verify.laws.edge_problems import with_infeasible_target
from seqloss.verify.laws.edges import compare_rows
from seqloss.verify.laws.law import (
    Law,
    Violation,
    format_number,
    gradient_violation,
    most_severe,
    non_finite_violation,
    with_severity,
)
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Outputs, Runner
from seqloss.verify.severity import CARELESS, WRONG, Severity
from seqloss.verify.tolerance import largest_path_score


def check_infeasible(runner: Runner, problem: Problem) -> Violation | None:
    """Infeasible rows have the promised loss, and do not change the other rows."""
    answer, exact = runner.outputs(problem), Outputs(*exact_loss_and_grad(runner, problem))
    why = "an infeasible row must not change the other rows"
    others = compare_rows(runner, problem, answer, exact, np.isfinite(exact.loss), why)
    check = _check_zero if runner.implementation.zero_infinity else _check_infinite
    rows = (int(n) for n in np.flatnonzero(exact.loss == np.inf))
    return with_severity(WRONG, others) or most_severe(check(problem, answer, n) for n in rows)


def _check_infinite(problem: Problem, answer: Outputs, n: int) -> Violation | None:
    """The loss of row n is infinite. Its gradient can be any finite value; NaN is careless."""
    found = float(answer.loss[n])
    if found == np.inf or beyond_masks(problem, answer.loss)[n]:
        if answer.gradient is None:
            return None
        why = "the gradient of an infeasible row must not make the weights NaN"
        return with_severity(CARELESS, non_finite_violation(problem, _only_row(answer.gradient, n), why))
    why = "no path fits, so P(target) = 0 and the loss is inf; a finite number would enter the mean"
    if _is_zero(answer, n):
        why += "; if 0 is intended (zero_infinity), declare it with --zero-infinity"
    expected, shown = f"row {n}: loss inf", f"row {n}: loss {format_number(found)}"
    return Violation(problem, expected, shown, why, severity=_severity_of_number(problem, answer, n))


def _severity_of_number(problem: Problem, answer: Outputs, n: int) -> Severity:
    """Careless: NaN, 0 with a gradient of 0, or a number that is larger than the loss of any path. Else wrong."""
    found = answer.loss[n]
    open_paths = problem.replace(logits=np.where(problem.logits < -1e8, -np.inf, problem.logits))
    recognisable = np.isnan(found) or _is_zero(answer, n) or found > largest_path_score(open_paths)[n]
    return CARELESS if recognisable else WRONG


def _is_zero(answer: Outputs, n: int) -> bool:
    return bool(answer.loss[n] == 0 and (answer.gradient is None or not answer.gradient[n].any()))


def _check_zero(problem: Problem, answer: Outputs, n: int) -> Violation | None:
    """Loss and gradient of row n are exactly 0."""
    why = "with zero_infinity, an infeasible row has a loss of 0 and a gradient of 0"
    found = float(answer.loss[n])
    if beyond_masks(problem, answer.loss)[n]:
        return None
    if found != 0:
        shown = f"row {n}: loss {format_number(found)}"
        return Violation(problem, f"row {n}: loss 0", shown, why, severity=WRONG)
    if answer.gradient is None:
        return None
    gradient = _only_row(answer.gradient, n)
    return with_severity(WRONG, gradient_violation(problem, gradient, np.zeros_like(gradient), np.zeros(()), why))


def _only_row(gradient: np.ndarray, n: int) -> np.ndarray:
    """The gradient of row n, and 0 in the other rows."""
    return np.where((np.arange(len(gradient)) == n)[:, None, None], gradient, 0.0)


IMPOSSIBLE = Law(
    "impossible",
    "If no path fits, loss = inf and the gradient is finite; with zero_infinity, both are 0.",
    check_infeasible,
    with_infeasible_target,
    severity=CARELESS,
)
