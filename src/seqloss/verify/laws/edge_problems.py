"""Problems with edge cases, made from problems without: infeasible targets, -inf, masks, NaN, empty targets."""

from __future__ import annotations

import numpy as np

from seqloss.verify.problem import Problem, frames_required


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
