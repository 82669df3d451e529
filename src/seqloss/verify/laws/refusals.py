"""Arguments that no CTC can mean: an error, or at least NaN, but not a plausible number."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.law import Law, Violation, number
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, no_reply


def refuses(runner: Runner, problem: Problem, bad: np.ndarray, why: str) -> Violation | None:
    """An exception, or NaN as the loss of the rows that are bad."""
    answer = runner.raw(problem)
    if answer.raised:
        return None
    if answer.died:
        raise no_reply(problem, answer, "an error that names the argument")
    loss = np.asarray(answer.loss, np.float64)
    if loss.shape == bad.shape and np.isnan(loss[bad]).all():
        return None
    n = int(np.argmax(bad))
    found = f"row {n}: loss {number(loss[n])}" if loss.shape == bad.shape else f"an answer of shape {loss.shape}"
    return Violation(problem, "an error that names the argument", found, why)


def bad_labels(problem: Problem) -> np.ndarray:
    inside = np.arange(problem.targets.shape[1]) < problem.target_lengths[:, None]
    labels = problem.targets
    wrong = (labels < 0) | (labels >= problem.logits.shape[2]) | (labels == problem.blank)
    return (wrong & inside).any(axis=1)


def refuses_labels(runner: Runner, problem: Problem) -> Violation | None:
    """Each kind by itself."""
    classes = problem.logits.shape[2]
    kinds = {
        classes + 3: f"there is no class {classes + 3}: the vocabulary is larger than the model's head, or shifted",
        -3: "there is no class -3: a padding value inside the length, or an unknown symbol",
        problem.blank: "the blank cannot stand in a target: no path spells it",
    }
    for label, why in kinds.items():
        targets = problem.targets.copy()
        targets[0, 0] = label
        wrong = problem.but(targets=targets)
        found = refuses(runner, wrong, bad_labels(wrong), why)
        if found is not None:
            return found
    return None


def refuses_lengths(runner: Runner, problem: Problem) -> Violation | None:
    """More frames than there are, more labels than there are, fewer than none."""
    _, time, _, labels = problem.shape
    why = "a length past its axis reads what isn't the row's, or is cut silently; below 0 it means nothing"
    bad = np.arange(len(problem.logits)) == 0
    told = ("logit_lengths", "target_lengths") if runner.implementation.lengths == "both" else ("target_lengths",)
    past = {"logit_lengths": time + 1, "target_lengths": labels + 1}
    for name, wrong in [(name, past[name]) for name in told] + [(name, -1) for name in told]:
        lengths = getattr(problem, name).copy()
        lengths[0] = wrong
        found = refuses(runner, problem.but(**{name: lengths}), bad, f"{name}[0] is {wrong}: {why}")
        if found is not None:
            return found
    return None


def with_a_label(problem: Problem) -> Problem | None:
    return problem if problem.targets.shape[1] and problem.target_lengths[0] else None


REFUSES_LABELS = Law(
    "refuses-labels", "Labels that are no class, or the blank, are refused.", refuses_labels, with_a_label
)
REFUSES_LENGTHS = Law(
    "refuses-lengths", "Lengths that don't fit their axis are refused.", refuses_lengths, needs=frozenset({"lengths"})
)
