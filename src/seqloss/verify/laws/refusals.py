"""Laws about invalid arguments: they raise an error or give NaN, not a plausible number."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.law import Law, Violation, format_number
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, failed_call
from seqloss.verify.severity import CARELESS


def check_refused(runner: Runner, problem: Problem, bad: np.ndarray, why: str) -> Violation | None:
    """The violation if a call neither raises nor returns NaN for the invalid rows."""
    answer = runner.call(problem)
    if answer.raised:
        return None
    if answer.failure:
        raise failed_call(problem, answer, "an error that names the argument")
    loss = np.asarray(answer.loss, np.float64)
    if loss.shape == bad.shape and np.isnan(loss[bad]).all():
        return None
    n = int(np.argmax(bad))
    found = f"row {n}: loss {format_number(loss[n])}" if loss.shape == bad.shape else f"a result of shape {loss.shape}"
    return Violation(problem, "an error that names the argument", found, why)


def rows_with_invalid_labels(problem: Problem) -> np.ndarray:
    """bool (batch,)."""
    inside = np.arange(problem.targets.shape[1]) < problem.target_lengths[:, None]
    labels = problem.targets
    wrong = (labels < 0) | (labels >= problem.logits.shape[2]) | (labels == problem.blank)
    return (wrong & inside).any(axis=1)


def check_refuses_labels(runner: Runner, problem: Problem) -> Violation | None:
    """Labels above the last class, negative labels, and the blank."""
    classes = problem.logits.shape[2]
    kinds = {
        classes + 3: f"class {classes + 3} does not exist: the vocabulary is larger than the output layer, or shifted",
        -3: "class -3 does not exist: padding within the target length, or an unknown symbol",
        problem.blank: "a target cannot contain the blank: no path collapses to it",
    }
    for label, why in kinds.items():
        targets = problem.targets.copy()
        targets[0, 0] = label
        wrong = problem.replace(targets=targets)
        found = check_refused(runner, wrong, rows_with_invalid_labels(wrong), why)
        if found is not None:
            return found
    return None


def check_refuses_lengths(runner: Runner, problem: Problem) -> Violation | None:
    """Lengths larger than their axes, and negative lengths."""
    _, time, _, labels = problem.shape
    why = "a length must be from 0 to the size of its axis; a larger one reads outside the row or is clipped silently"
    bad = np.arange(len(problem.logits)) == 0
    names = ("logit_lengths", "target_lengths") if runner.implementation.lengths == "both" else ("target_lengths",)
    past = {"logit_lengths": time + 1, "target_lengths": labels + 1}
    for name, wrong in [(name, past[name]) for name in names] + [(name, -1) for name in names]:
        lengths = getattr(problem, name).copy()
        lengths[0] = wrong
        found = check_refused(runner, problem.replace(**{name: lengths}), bad, f"{name}[0] is {wrong}: {why}")
        if found is not None:
            return found
    return None


def require_label(problem: Problem) -> Problem | None:
    """The problem, if its first target has a label."""
    return problem if problem.targets.shape[1] and problem.target_lengths[0] else None


REFUSES_LABELS = Law(
    "refuses-labels",
    "A label outside 0..C-1, or the blank, raises an error or gives NaN.",
    check_refuses_labels,
    require_label,
    severity=CARELESS,
)
REFUSES_LENGTHS = Law(
    "refuses-lengths",
    "A length outside 0..axis raises an error or gives NaN.",
    check_refuses_lengths,
    needs=frozenset({"lengths"}),
    severity=CARELESS,
)
