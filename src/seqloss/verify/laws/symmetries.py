"""What changes nothing: a constant on a frame, other names for the classes, time run backwards."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.law import Law, Violation, gradient_breach, loss_breach
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner
from seqloss.verify.tolerance import OWN


def frame_shift(runner: Runner, problem: Problem) -> Violation | None:
    """Half types are given scores that are exact with the constant added."""
    if OWN[runner.dtype]:
        problem = problem.but(logits=np.clip(np.round(4 * problem.logits), -16, 16) / 4)
    shifts = np.array([3.0, -5.0, 0.5, 8.0])[np.arange(problem.logits.shape[1]) % 4]
    shifted = runner.fit(problem.but(logits=problem.logits + shifts[:, None]))
    why = "softmax doesn't see a constant added to all scores of a frame"
    return _same(runner, problem, shifted, slice(None), slice(None), why)


def relabelling(runner: Runner, problem: Problem) -> Violation | None:
    """All classes take other numbers, the blank too where it may stand anywhere."""
    moved = with_names(problem, names(problem, runner.implementation.blank == "any"))
    back = names(problem, runner.implementation.blank == "any")
    why = "classes are names: with scores and target renamed alike, the loss is the same and the gradient renamed"
    return _same(runner, problem, moved, slice(None), np.argsort(back), why)


def names(problem: Problem, blank_too: bool) -> np.ndarray:
    """The new number of each class: the other way round, the blank staying where it is unless it may move."""
    classes = np.arange(problem.logits.shape[2])
    if blank_too:
        return classes[::-1]
    others = classes[classes != problem.blank]
    classes[others] = others[::-1]
    return classes


def with_names(problem: Problem, new: np.ndarray) -> Problem:
    logits = np.empty_like(problem.logits)
    logits[:, :, new] = problem.logits
    inside = (problem.targets >= 0) & (problem.targets < len(new))
    targets = np.where(inside, new[np.where(inside, problem.targets, 0)], problem.targets)
    return problem.but(logits=logits, targets=targets, blank=int(new[problem.blank]))


def time_reversal(runner: Runner, problem: Problem) -> Violation | None:
    """Row by row, so that lengths don't come into it."""
    for n in range(len(problem.logits)):
        one = problem.alone(n)
        if one.logits.shape[1] == 0:
            continue
        turned = one.but(logits=one.logits[:, ::-1].copy(), targets=one.targets[:, ::-1].copy())
        why = (
            "a path read backwards spells the target backwards: the sum over paths is the same, and the gradient of "
            "the first frame is that of the other's last"
        )
        found = _same(runner, one, turned, slice(None, None, -1), slice(None), why)
        if found is not None:
            return found
    return None


def _same(
    runner: Runner, problem: Problem, changed: Problem, frames: slice, classes: slice | np.ndarray, why: str
) -> Violation | None:
    """The changed problem has the same losses, and the gradient with frames and classes moved likewise."""
    plain, found = runner.ask(problem), runner.ask(changed)
    allowed = runner.loss_tolerance(problem) + runner.loss_tolerance(changed)
    violation = loss_breach(changed, found.loss, plain.loss, allowed, why, problem)
    if violation is not None or plain.gradient is None or found.gradient is None:
        return violation
    close = runner.gradient_tolerance(problem) + runner.gradient_tolerance(changed)
    return gradient_breach(changed, found.gradient, plain.gradient[:, frames][:, :, classes], close, why, problem)


FRAME_SHIFT = Law(
    "frame-shift", "A constant added to a frame's scores changes nothing.", frame_shift, needs=frozenset({"logits"})
)
RELABELLING = Law("relabelling", "Renaming the classes renames the gradient, and changes nothing else.", relabelling)
TIME_REVERSAL = Law("time-reversal", "Frames and target reversed have the same loss.", time_reversal)
