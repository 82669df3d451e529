"""Symmetries: a constant added to a frame, permuted classes, reversed time."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.law import Law, Violation, gradient_violation, loss_violation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner
from seqloss.verify.tolerance import OUTPUT_ROUNDING


def check_frame_shift(runner: Runner, problem: Problem) -> Violation | None:
    """For half types, the scores are exact after the constant has been added."""
    if OUTPUT_ROUNDING[runner.dtype]:
        problem = problem.replace(logits=np.clip(np.round(4 * problem.logits), -16, 16) / 4)
    shifts = np.array([3.0, -5.0, 0.5, 8.0])[np.arange(problem.logits.shape[1]) % 4]
    shifted = runner.adapt(problem.replace(logits=problem.logits + shifts[:, None]))
    why = "a constant added to all scores of a frame does not change its softmax"
    return _compare(runner, problem, shifted, slice(None), slice(None), why)


def check_relabelling(runner: Runner, problem: Problem) -> Violation | None:
    """Reverses the order of the classes, and of the blank if the implementation supports any blank."""
    moved = permute_classes(problem, class_permutation(problem, runner.implementation.blank == "any"))
    permutation = class_permutation(problem, runner.implementation.blank == "any")
    why = "a permutation of the classes, in logits and targets, permutes the gradient and does not change the loss"
    return _compare(runner, problem, moved, slice(None), np.argsort(permutation), why)


def class_permutation(problem: Problem, blank_too: bool) -> np.ndarray:
    """The new index of each class: the reverse order, where the blank keeps its index unless `blank_too`."""
    classes = np.arange(problem.logits.shape[2])
    if blank_too:
        return classes[::-1]
    others = classes[classes != problem.blank]
    classes[others] = others[::-1]
    return classes


def permute_classes(problem: Problem, new: np.ndarray) -> Problem:
    """The problem with a new index for each class."""
    logits = np.empty_like(problem.logits)
    logits[:, :, new] = problem.logits
    inside = (problem.targets >= 0) & (problem.targets < len(new))
    targets = np.where(inside, new[np.where(inside, problem.targets, 0)], problem.targets)
    return problem.replace(logits=logits, targets=targets, blank=int(new[problem.blank]))


def check_time_reversal(runner: Runner, problem: Problem) -> Violation | None:
    """Row by row without padding, so that lengths do not matter."""
    for n in range(len(problem.logits)):
        one = problem.unpadded_row(n)
        if one.logits.shape[1] == 0:
            continue
        reversed_row = one.replace(logits=one.logits[:, ::-1].copy(), targets=one.targets[:, ::-1].copy())
        why = (
            "a reversed path collapses to the reversed target: the sum over paths is the same, and the gradient is "
            "reversed in time"
        )
        found = _compare(runner, one, reversed_row, slice(None, None, -1), slice(None), why)
        if found is not None:
            return found
    return None


def _compare(
    runner: Runner, problem: Problem, changed: Problem, frames: slice, classes: slice | np.ndarray, why: str
) -> Violation | None:
    """The violation if the losses differ, or the gradients after moving frames and classes."""
    plain, found = runner.finite_outputs(problem), runner.finite_outputs(changed)
    allowed = runner.loss_tolerance(problem) + runner.loss_tolerance(changed)
    violation = loss_violation(changed, found.loss, plain.loss, allowed, why, problem)
    if violation is not None or plain.gradient is None or found.gradient is None:
        return violation
    close = runner.gradient_tolerance(problem) + runner.gradient_tolerance(changed)
    return gradient_violation(changed, found.gradient, plain.gradient[:, frames][:, :, classes], close, why, problem)


FRAME_SHIFT = Law(
    "frame-shift",
    "loss(x[t, k] + c[t]) = loss(x[t, k]), with the same gradient.",
    check_frame_shift,
    needs=frozenset({"logits"}),
)
RELABELLING = Law(
    "relabelling", "A permutation of the classes permutes the gradient and does not change the loss.", check_relabelling
)
TIME_REVERSAL = Law(
    "time-reversal",
    "Reversed frames and reversed target give the same loss, and the reversed gradient.",
    check_time_reversal,
)
