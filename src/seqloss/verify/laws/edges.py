"""Laws about edge cases: infeasible targets, scores of -inf, masks, NaN, empty targets."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.definition import reference_loss_and_grad
from seqloss.verify.laws.law import Law, Violation, format_number, gradient_violation, loss_violation
from seqloss.verify.problem import Problem, frames_required
from seqloss.verify.runner import Outputs, Runner


def check_reference(runner: Runner, problem: Problem, why: str) -> Violation | None:
    """Compares loss and gradient with the reference, NaN and infinities included."""
    answer = runner.outputs(problem)
    loss, gradient = reference_loss_and_grad(runner, problem)
    violation = loss_violation(problem, answer.loss, loss, runner.loss_tolerance(problem), why)
    if violation is None and answer.gradient is not None:
        violation = _finite(problem, answer, why) or gradient_violation(
            problem, answer.gradient, gradient, runner.gradient_tolerance(problem), why
        )
    return violation


def check_infeasible(runner: Runner, problem: Problem) -> Violation | None:
    """The loss is infinite. The gradient of the row can be any finite value."""
    answer = runner.outputs(problem)
    why = "no path fits, so P(target) = 0 and the loss is inf; a finite number would enter the mean"
    loss, gradient = reference_loss_and_grad(runner, problem)
    for n in np.flatnonzero(loss == np.inf):
        if answer.loss[n] != np.inf and not beyond_masks(problem, answer.loss)[n]:
            return Violation(problem, f"row {n}: loss inf", f"row {n}: loss {format_number(answer.loss[n])}", why)
    why = "the gradient of an infeasible row must not make the weights NaN"
    violation = None if answer.gradient is None else _finite(problem, answer, why)
    fits = np.isfinite(loss)
    if violation is not None or not fits.any():
        return violation
    why = "an infeasible row must not change the other rows"
    found, allowed = np.where(fits, answer.loss, 0.0), runner.loss_tolerance(problem)
    violation = loss_violation(problem, found, np.where(fits, loss, 0.0), allowed, why)
    if violation is not None or answer.gradient is None:
        return violation
    kept = fits[:, None, None]
    slopes = np.where(kept, answer.gradient, 0.0), np.where(kept, gradient, 0.0)
    return gradient_violation(problem, *slopes, runner.gradient_tolerance(problem), why)


def beyond_masks(problem: Problem, found: np.ndarray) -> np.ndarray:
    """bool (batch,): rows with masks below -1e8, for which both inf and a loss above 1e8 are correct."""
    lowest = np.array([row.min(initial=0.0) for row in problem.logits])
    return np.isfinite(lowest) & (lowest < -1e8) & (found > 1e8)


def _finite(problem: Problem, answer: Outputs, why: str) -> Violation | None:
    assert answer.gradient is not None
    bad = np.argwhere(~np.isfinite(answer.gradient))
    if not len(bad):
        return None
    n, t, k = (int(i) for i in bad[0])
    where = f"gradient of row {n}, frame {t}, class {k}: "
    found = where + format_number(answer.gradient[n, t, k])
    return Violation(problem, where + "a finite number", found, why, expression="gradient")


def check_closed_scores(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(runner, problem, "a score of -inf removes the paths through it, and no others")


def check_masked(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(runner, problem, "a mask of -1e4 is a finite score: the loss follows from it")


def check_extreme_scores(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(
        runner, problem, "scores that are hundreds of nats apart are finite: the loss follows from them"
    )


def check_empty(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(
        runner, problem, "the only path of an empty target is all blanks; without frames, its probability is 1"
    )


def check_nan_in_padding(runner: Runner, problem: Problem) -> Violation | None:
    return check_reference(runner, problem, "values past the lengths do not matter, including NaN and invalid labels")


def check_nan_in_a_row(runner: Runner, problem: Problem) -> Violation | None:
    """The row with NaN has a loss of NaN; the other rows are correct."""
    answer = runner.outputs(problem)
    loss, gradient = reference_loss_and_grad(runner, problem)
    non_finite = np.isnan(loss)
    why = "NaN in a row makes its loss NaN, and does not affect other rows"
    hidden = np.flatnonzero(non_finite & ~np.isnan(answer.loss))
    if len(hidden):
        n = int(hidden[0])
        return Violation(problem, f"row {n}: loss nan", f"row {n}: loss {format_number(answer.loss[n])}", why)
    violation = loss_violation(
        problem,
        np.where(np.isnan(answer.loss) & non_finite, 0, answer.loss),
        np.where(non_finite, 0, loss),
        runner.loss_tolerance(problem),
        why,
    )
    if violation is not None or answer.gradient is None:
        return violation
    finite = np.where(non_finite[:, None, None], 0, answer.gradient)
    return gradient_violation(
        problem, finite, np.where(non_finite[:, None, None], 0, gradient), runner.gradient_tolerance(problem), why
    )


def with_infeasible_target(problem: Problem) -> Problem | None:
    """Repeats the last label of the first row until its target is infeasible."""
    labels = problem.label_rows()[0]
    frames = int(problem.logit_lengths[0])
    if not labels or frames == 0:
        return None
    while frames_required(labels) <= frames:
        labels = labels + labels[-1:]
    targets = np.full((len(problem.targets), max(len(labels), problem.targets.shape[1])), labels[0])
    targets[:, : problem.targets.shape[1]] = problem.targets
    targets[0, : len(labels)] = labels
    counts = problem.target_lengths.copy()
    counts[0] = len(labels)
    return problem.replace(targets=targets, target_lengths=counts)


def with_minus_inf(problem: Problem) -> Problem | None:
    """The first label of each row has a score of -inf in its last frame."""
    return _lower_scores(problem, -np.inf, every_frame=False)


def with_mask(problem: Problem) -> Problem | None:
    """The first label of each row has a score of -10,000 in all frames."""
    return _lower_scores(problem, -1e4, every_frame=True)


def with_extreme_scores(problem: Problem) -> Problem | None:
    """Scores hundreds of nats apart."""
    return problem.replace(logits=300.0 * problem.logits)


def _lower_scores(problem: Problem, score: float, every_frame: bool) -> Problem | None:
    """Sets the score of the first label in the last frame (of rows with a spare frame), or in every frame."""
    if problem.logits.shape[1] < 2:
        return None
    logits = problem.logits.copy()
    for n, labels in enumerate(problem.label_rows()):
        frames = int(problem.logit_lengths[n])
        if not labels or (not every_frame and frames_required(labels) >= frames):
            continue
        logits[n, slice(0, frames) if every_frame else frames - 1, labels[0]] = score
    return None if np.array_equal(logits, problem.logits) else problem.replace(logits=logits)


def with_nan_padding(problem: Problem) -> Problem | None:
    """NaN in padding frames, and invalid labels in padding."""
    logits, targets = problem.logits.copy(), problem.targets.copy()
    logits[np.arange(logits.shape[1]) >= problem.logit_lengths[:, None]] = np.nan
    past = np.arange(targets.shape[1]) >= problem.target_lengths[:, None]
    targets[past] = np.resize([-1, logits.shape[2] + 4], targets.shape)[past]
    return problem.replace(logits=logits, targets=targets) if past.any() or np.isnan(logits).any() else None


def with_nan(problem: Problem) -> Problem | None:
    """NaN as the score of the blank in the first frame of the last row."""
    if len(problem.logits) < 2 or problem.logit_lengths[-1] == 0:
        return None
    logits = problem.logits.copy()
    logits[-1, 0, problem.blank] = np.nan
    return problem.replace(logits=logits)


def without_labels(problem: Problem) -> Problem | None:
    """The last target is empty."""
    counts = problem.target_lengths.copy()
    counts[-1] = 0
    return problem.replace(target_lengths=counts)


IMPOSSIBLE = Law(
    "impossible", "If no path fits, loss = inf and the gradient is finite.", check_infeasible, with_infeasible_target
)
CLOSED_SCORES = Law(
    "closed-scores", "A score of -inf removes the paths through it, and no others.", check_closed_scores, with_minus_inf
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
)
NAN_IN_A_ROW = Law(
    "nan-in-a-row", "NaN in a row gives loss[n] = NaN, and does not affect other rows.", check_nan_in_a_row, with_nan
)
EMPTY = Law(
    "empty",
    "loss = -sum_t log p[t, blank] for an empty target; 0 frames, 0 rows and one class work.",
    check_empty,
    without_labels,
)
