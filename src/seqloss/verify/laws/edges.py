"""Where implementations part: no path fits, scores of -inf, masks, NaN, nothing to read."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.agreement import truth
from seqloss.verify.laws.law import Law, Violation, gradient_breach, loss_breach, number
from seqloss.verify.problem import Problem, required
from seqloss.verify.runner import Judged, Runner

LOWEST = float(np.finfo(np.float32).min)


def right(runner: Runner, problem: Problem, why: str) -> Violation | None:
    """The definition's loss and gradient, NaN and infinities included."""
    answer = runner.look(problem)
    loss, gradient = truth(runner, problem)
    violation = loss_breach(problem, answer.loss, loss, runner.loss_tolerance(problem), why)
    if violation is None and answer.gradient is not None:
        violation = _finite(problem, answer, why) or gradient_breach(
            problem, answer.gradient, gradient, runner.gradient_tolerance(problem), why
        )
    return violation


def impossible(runner: Runner, problem: Problem) -> Violation | None:
    """The loss is infinite, its gradient anything finite: which, is a matter of policy."""
    answer = runner.look(problem)
    why = "no path fits: the target's probability is 0. A number in its place is averaged in, and trains on nothing"
    loss, gradient = truth(runner, problem)
    for n in np.flatnonzero(loss == np.inf):
        if answer.loss[n] != np.inf and not beyond_masks(problem, answer.loss)[n]:
            return Violation(problem, f"row {n}: loss inf", f"row {n}: loss {number(answer.loss[n])}", why)
    why = "one row that fits nothing must not turn the weights into NaN"
    violation = None if answer.gradient is None else _finite(problem, answer, why)
    fits = np.isfinite(loss)
    if violation is not None or not fits.any():
        return violation
    why = "a row that fits nothing is no reason to change the others"
    found, allowed = np.where(fits, answer.loss, 0.0), runner.loss_tolerance(problem)
    violation = loss_breach(problem, found, np.where(fits, loss, 0.0), allowed, why)
    if violation is not None or answer.gradient is None:
        return violation
    kept = fits[:, None, None]
    slopes = np.where(kept, answer.gradient, 0.0), np.where(kept, gradient, 0.0)
    return gradient_breach(problem, *slopes, runner.gradient_tolerance(problem), why)


def beyond_masks(problem: Problem, found: np.ndarray) -> np.ndarray:
    """bool (batch,): rows whose masks are so low that inf and the number that they add up to are both right."""
    lowest = np.array([row.min(initial=0.0) for row in problem.logits])
    return np.isfinite(lowest) & (lowest < -1e8) & (found > 1e8)


def _finite(problem: Problem, answer: Judged, why: str) -> Violation | None:
    assert answer.gradient is not None
    bad = np.argwhere(~np.isfinite(answer.gradient))
    if not len(bad):
        return None
    n, t, k = (int(i) for i in bad[0])
    where = f"gradient of row {n}, frame {t}, class {k}: "
    found = where + number(answer.gradient[n, t, k])
    return Violation(problem, where + "a finite number", found, why, shows="gradient")


def closed_scores(runner: Runner, problem: Problem) -> Violation | None:
    return right(runner, problem, "a score of -inf closes the paths through it, and no others")


def masked(runner: Runner, problem: Problem) -> Violation | None:
    return right(
        runner, problem, "people mask with -1e4 or the float's minimum: unlikely is not impossible, and has its price"
    )


def extreme_scores(runner: Runner, problem: Problem) -> Violation | None:
    return right(runner, problem, "scores hundreds of nats apart are large numbers, not infinite ones")


def empty(runner: Runner, problem: Problem) -> Violation | None:
    return right(runner, problem, "an empty target is read by blanks alone; no frames read as nothing, for certain")


def nan_in_padding(runner: Runner, problem: Problem) -> Violation | None:
    return right(
        runner, problem, "what stands past a row's length is not part of it, NaN and labels that do not exist included"
    )


def nan_in_a_row(runner: Runner, problem: Problem) -> Violation | None:
    """The row with NaN has a loss of NaN; the others have theirs."""
    answer = runner.look(problem)
    loss, gradient = truth(runner, problem)
    sick = np.isnan(loss)
    why = "a row's NaN must be seen in its own loss, and nowhere else"
    hidden = np.flatnonzero(sick & ~np.isnan(answer.loss))
    if len(hidden):
        n = int(hidden[0])
        return Violation(problem, f"row {n}: loss nan", f"row {n}: loss {number(answer.loss[n])}", why)
    violation = loss_breach(
        problem,
        np.where(np.isnan(answer.loss) & sick, 0, answer.loss),
        np.where(sick, 0, loss),
        runner.loss_tolerance(problem),
        why,
    )
    if violation is not None or answer.gradient is None:
        return violation
    well = np.where(sick[:, None, None], 0, answer.gradient)
    return gradient_breach(
        problem, well, np.where(sick[:, None, None], 0, gradient), runner.gradient_tolerance(problem), why
    )


def too_long(problem: Problem) -> Problem | None:
    """The first row's target said twice over, until it doesn't fit its frames."""
    labels = problem.label_rows()[0]
    frames = int(problem.logit_lengths[0])
    if not labels or frames == 0:
        return None
    while required(labels) <= frames:
        labels = labels + labels[-1:]
    targets = np.full((len(problem.targets), max(len(labels), problem.targets.shape[1])), labels[0])
    targets[:, : problem.targets.shape[1]] = problem.targets
    targets[0, : len(labels)] = labels
    counts = problem.target_lengths.copy()
    counts[0] = len(labels)
    return problem.but(targets=targets, target_lengths=counts)


def with_minus_inf(problem: Problem) -> Problem | None:
    """A label's score is -inf in one frame, an unused class' in all."""
    return _lowered(problem, -np.inf, every=False)


def with_mask(problem: Problem) -> Problem | None:
    return _lowered(problem, -1e4, every=True)


def with_extremes(problem: Problem) -> Problem | None:
    return problem.but(logits=300.0 * problem.logits)


def _lowered(problem: Problem, score: float, every: bool) -> Problem | None:
    """In each row with a frame to spare, the first label lowered in its last frame, or in all."""
    if problem.logits.shape[1] < 2:
        return None
    logits = problem.logits.copy()
    for n, labels in enumerate(problem.label_rows()):
        frames = int(problem.logit_lengths[n])
        if not labels or (not every and required(labels) >= frames):
            continue
        logits[n, slice(0, frames) if every else frames - 1, labels[0]] = score
    return None if np.array_equal(logits, problem.logits) else problem.but(logits=logits)


def with_nan_padding(problem: Problem) -> Problem | None:
    """NaN past the frames; -1 and more than the classes past the labels."""
    logits, targets = problem.logits.copy(), problem.targets.copy()
    logits[np.arange(logits.shape[1]) >= problem.logit_lengths[:, None]] = np.nan
    past = np.arange(targets.shape[1]) >= problem.target_lengths[:, None]
    targets[past] = np.resize([-1, logits.shape[2] + 4], targets.shape)[past]
    return problem.but(logits=logits, targets=targets) if past.any() or np.isnan(logits).any() else None


def with_nan(problem: Problem) -> Problem | None:
    """NaN in the blank's score of the last row's first frame; there must be another row."""
    if len(problem.logits) < 2 or problem.logit_lengths[-1] == 0:
        return None
    logits = problem.logits.copy()
    logits[-1, 0, problem.blank] = np.nan
    return problem.but(logits=logits)


def without_labels(problem: Problem) -> Problem | None:
    counts = problem.target_lengths.copy()
    counts[-1] = 0
    return problem.but(target_lengths=counts)


IMPOSSIBLE = Law("impossible", "Where no path fits the loss is infinite and its gradient finite.", impossible, too_long)
CLOSED_SCORES = Law("closed-scores", "Scores of -inf close their paths and no others.", closed_scores, with_minus_inf)
MASKED = Law("masked", "A masked class costs what its score says.", masked, with_mask)
EXTREME_SCORES = Law("extreme-scores", "Scores hundreds of nats apart are exact.", extreme_scores, with_extremes)
NAN_IN_PADDING = Law(
    "nan-in-padding",
    "NaN and bad labels past the lengths are never read.",
    nan_in_padding,
    with_nan_padding,
    frozenset({"lengths"}),
)
NAN_IN_A_ROW = Law("nan-in-a-row", "NaN stays in its row, and is seen there.", nan_in_a_row, with_nan)
EMPTY = Law("empty", "Empty targets, no frames and no rows have their losses.", empty, without_labels)
