"""The likely cause of violations: the known bug that gives the same losses or gradients as the implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from seqloss.verify.cases import problem_of_lengths
from seqloss.verify.effort import QUICK
from seqloss.verify.known_bugs import KNOWN_BUGS, Variant, variant_losses
from seqloss.verify.law_problems import length_axes
from seqloss.verify.laws.gradients import posteriors_of
from seqloss.verify.problem import Problem, make_problem
from seqloss.verify.runner import CallFailed, Outputs, Runner, log_softmax
from seqloss.verify.standard_problems import standard_problems

Results = list[tuple[Problem, Outputs]]

CLOSE = 2e-4
"""Relative tolerance: a bug that changes less is not recognised."""


def diagnostic_problems(few_shapes: bool = False) -> list[Problem]:
    """Problems for which the known bugs give different losses: standard problems, and rows with padding."""
    rng = np.random.default_rng(11)
    scores = np.round(2 * rng.normal(size=(3, 8, 5)), 2)
    scores[:, :, 3] -= 12.0  # probabilities far below 1e-7
    padded = [make_problem(scores, [[3, 3, 1], [2], [4, 1]], [7, 8, 5], blank=0, padding=2)]
    if not few_shapes:
        padded.append(make_problem(scores[:2, :6, :4], [[0, 1], [3]], [6, 5], blank=2, padding=0))
        longer = np.round(rng.normal(size=(3, 23, 5)), 2)
        padded.append(make_problem(longer, [[1], [2, 3, 4, 1] * 3 + [2], [1, 3] * 11], [7, 23, 23]))
    return [*standard_problems(few_shapes), *padded]


def likely_cause(runner: Runner) -> str:
    """The bug that gives the same losses, or the same gradients if the losses are correct; "" if there is none.

    Args:
        runner: calls the implementation.

    Returns:
        a description of the bug, or "".
    """
    results = _results(runner, diagnostic_problems(runner.implementation.few_shapes))
    if not results:
        return ""
    right = [variant_losses(_correct_variant(runner), given) for given, _ in results]
    if all(_agree(answer.loss, loss) for (_, answer), loss in zip(results, right, strict=True)):
        return _gradient_bug(runner, results) or _length_bug(runner, results)
    found = _matching_bugs(results)
    if len({bug for bug, _ in found}) > 1:
        found = _matching_bugs(_results_of_lengths(runner), found) or found
    return found[0][0] if found else _loss_factor(results, right)


def _length_bug(runner: Runner, results: Results) -> str:
    """The bug that shows only on longer axes."""
    longer = _results_of_lengths(runner)
    if _matching_bugs(longer, [("", _correct_variant(runner))]):
        return ""
    found = _matching_bugs(longer, _matching_bugs(results))
    return found[0][0] if found else ""


def _results(runner: Runner, problems: Sequence[Problem]) -> Results:
    results: Results = []
    for given in problems:
        adapted = runner.adapt(given)
        with suppress(CallFailed):
            results.append((adapted, runner.outputs(adapted)))
    return results


def _results_of_lengths(runner: Runner) -> Results:
    """Of problems that distinguish conversions of lengths. They are large: they are used only if others agree."""
    if runner.implementation.lengths == "none":
        return []
    axes = length_axes(runner.implementation, QUICK)
    return _results(runner.with_dtype(runner.dtype, exact_shapes=True), [problem_of_lengths(axis) for axis in axes])


def _correct_variant(runner: Runner) -> Variant:
    return Variant() if runner.implementation.scores == "logits" else Variant(scores=lambda x: x)


def _matching_bugs(results: Results, bugs: Sequence[tuple[str, Variant]] = KNOWN_BUGS) -> list[tuple[str, Variant]]:
    """The bugs whose losses are those of all results; none without results."""
    return [
        (bug, variant)
        for bug, variant in bugs
        if results and all(_agree(answer.loss, variant_losses(variant, given)) for given, answer in results)
    ]


def _loss_factor(results: Results, right: Sequence[np.ndarray]) -> str:
    factors = [_factor(answer.loss, loss) for (_, answer), loss in zip(results, right, strict=True)]
    if all(f is not None and abs(f - factors[0]) < CLOSE for f in factors):  # type: ignore[operator]
        return f"every loss is {factors[0]:.4g} times the correct value"
    return ""


def _gradient_bug(runner: Runner, results: Results) -> str:
    """The bug of the gradient, if the losses are correct."""
    kinds: dict[str, Callable[[Problem, np.ndarray, np.ndarray], np.ndarray]] = {
        "": lambda p, soft, post: soft - post,
        "the gradient is with respect to log-probabilities: softmax has no derivative": lambda p, soft, post: -post,
        "the sign of the gradient is wrong": lambda p, soft, post: post - soft,
        "the gradient is divided by the batch size": lambda p, soft, post: (soft - post) / len(p.logits),
        "the gradient is softmax: the posterior is missing": lambda p, soft, post: soft,
        "the gradient is 0 everywhere": lambda p, soft, post: 0 * soft,
    }
    if runner.implementation.scores != "logits" or any(answer.gradient is None for _, answer in results):
        return ""
    for bug, kind in kinds.items():
        same = True
        for given, answer in results:
            inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
            soft = np.where(inside, np.exp(log_softmax(given.logits)), 0.0)
            expected = kind(given, soft, posteriors_of(given))
            assert answer.gradient is not None
            same &= bool((np.abs(answer.gradient - expected) <= CLOSE).all())
        if same:
            return bug
    if all(_correct_within_lengths(given, answer) for given, answer in results):
        return "the gradient is not 0 past the lengths"
    factors = [_gradient_factor(given, answer) for given, answer in results]
    if all(f is not None and abs(f - factors[0]) < CLOSE for f in factors):  # type: ignore[operator]
        return f"the gradient is {factors[0]:.4g} times the correct value"
    return ""


def _gradient_factor(given: Problem, answer: Outputs) -> float | None:
    """The factor between the gradient and the correct gradient; None if there is none."""
    expected = _correct_gradient(given)
    assert answer.gradient is not None
    factor = float((answer.gradient * expected).sum() / np.maximum((expected**2).sum(), 1e-300))
    return factor if (np.abs(answer.gradient - factor * expected) <= CLOSE * (1 + abs(factor))).all() else None


def _correct_gradient(given: Problem) -> np.ndarray:
    """Softmax minus posterior, and 0 past the lengths."""
    inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
    return np.where(inside, np.exp(log_softmax(given.logits)) - posteriors_of(given), 0.0)


def _correct_within_lengths(given: Problem, answer: Outputs) -> bool:
    inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
    assert answer.gradient is not None
    return bool((np.abs(np.where(inside, answer.gradient - _correct_gradient(given), 0.0)) <= CLOSE).all())


def likely_label_handling(runner: Runner) -> str:
    """How the implementation handles an invalid label: the rule that gives the same losses; "" if there is none."""
    rng = np.random.default_rng(13)
    given = runner.adapt(make_problem(np.round(rng.normal(size=(1, 5, 4)), 2), [[1, 2]]))
    classes, time = 4, 5
    wrong = {6: given.replace(targets=np.array([[1, 6]])), -2: given.replace(targets=np.array([[1, -2]]))}
    for label, one in wrong.items():
        answer = runner.call(one)
        if answer.loss is None or answer.raised:
            continue
        found = float(np.ravel(np.asarray(answer.loss, np.float64))[0])
        logs = log_softmax(one.logits)[0]
        flat = np.resize(np.r_[logs.ravel(), np.zeros(classes)], time * classes + classes)
        beyond = np.array([flat[(t * classes + label) % len(flat)] for t in range(time)])[:, None]
        nothing = np.full((time, 1), -np.inf)
        kinds = {
            "labels are clipped to the range of classes": logs[:, [int(np.clip(label, 0, classes - 1))]],
            "negative labels are counted from the end": logs[:, [label % classes]],
            "an invalid label reads outside the row: it gets the score of another frame or row": beyond,
            "an invalid label has log-probability 0": np.zeros((time, 1)),
            "an invalid label has probability 0": nothing,
        }
        for rule, column in kinds.items():
            variant = Variant(scores=lambda x, c=column: np.concatenate([log_softmax(x), c], axis=1))  # type: ignore[misc]
            loss = variant_losses(variant, one.replace(targets=np.array([[1, classes]])))[0]
            if _agree(np.array([found]), np.array([loss])):
                return rule
    return ""


def _agree(found: np.ndarray, expected: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        close = np.isfinite(expected) & (np.abs(found - expected) <= CLOSE * (1 + np.abs(expected)))
        near = (found == expected) | close
        near |= (found == 0) & (expected < 0)  # many implementations clip the loss at 0
    return bool((near | (np.isnan(found) & np.isnan(expected))).all())


def _factor(found: np.ndarray, expected: np.ndarray) -> float | None:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = found / expected
    return float(ratios[0]) if np.isfinite(ratios).all() and np.ptp(ratios) < CLOSE else None
