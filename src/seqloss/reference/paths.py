"""CTC by its definition: the sum over all paths that collapse to the target.

A path π has one class per frame. With y_t(k) the probability of class k in frame t, its probability is

    p(π) = Π_t y_t(π_t).

B collapses a path to labels: it merges repeated classes, then removes blanks. The paths of a target l are B⁻¹(l):

    P(l) = Σ_{π ∈ B⁻¹(l)} p(π)                       the loss is -log P(l)
    γ_t(k) = Σ_{π ∈ B⁻¹(l), π_t = k} p(π) / P(l)     the posterior of class k in frame t

There are classes^frames paths, so this works for a few frames only. `ctc` is tested against it.

References:
    Graves, Fernández, Gomez, Schmidhuber, Connectionist temporal classification, ICML 2006, section 3.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np

Labels = tuple[int, ...]


def collapse(path: Sequence[int], blank: int = 0) -> Labels:
    """Collapse a path to its labels (B in the paper): merge repeated classes, then remove blanks.

    Args:
        path: one class per frame.
        blank: the blank's class.

    Returns:
        the label sequence.

    Example:
        >>> collapse([0, 3, 3, 0, 3, 1])
        (3, 3, 1)
    """
    return tuple(int(label) for label, _ in itertools.groupby(path) if label != blank)


@cache
def paths_by_target(frames: int, classes: int, blank: int = 0) -> dict[Labels, np.ndarray]:
    """List all paths of a number of frames by the target that they collapse to (B⁻¹); cached.

    Args:
        frames: length of the paths.
        classes: number of classes, the blank included.
        blank: the blank's class, from 0.

    Returns:
        the paths (paths, time) of each target, in lexicographic order.

    Example:
        >>> {target: paths.tolist() for target, paths in paths_by_target(2, 2).items()}
        {(): [[0, 0]], (1,): [[0, 1], [1, 0], [1, 1]]}
    """
    groups = defaultdict(list)
    for path in itertools.product(range(classes), repeat=frames):
        groups[collapse(path, blank)].append(path)
    return {target: np.array(paths, np.int64).reshape(len(paths), frames) for target, paths in groups.items()}


def paths_of_target(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> np.ndarray:
    """All paths (paths, time) that collapse to the target, including those of probability 0.

    Example:
        >>> paths_of_target(np.zeros((3, 3)), [1, 2]).tolist()
        [[0, 1, 2], [1, 0, 2], [1, 1, 2], [1, 2, 0], [1, 2, 2]]
    """
    frames, classes = log_probs.shape
    return paths_by_target(frames, classes, blank).get(tuple(target), np.zeros((0, frames), np.int64))


def path_scores(log_probs: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """Log-probability of each path, log p(π) = Σ_t log y_t(π_t), correctly rounded.

    Example:
        >>> path_scores(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([[0, 1]])) == np.log(0.5) + np.log(0.75)
        array([ True])
    """
    steps = log_probs[np.arange(log_probs.shape[0]), paths]  # (paths, time)
    return np.array([math.fsum(path) for path in steps.tolist()])  # (paths,)


def log_probability(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> float:
    """Log-probability of the target, log Σ_{π ∈ B⁻¹(l)} p(π); -inf if no path fits.

    Args:
        log_probs: (time, classes), nats.
        target: labels.
        blank: the blank's class.

    Returns:
        log P(l); the CTC loss is its negative.

    Example:
        Of the four paths of two frames and two classes, three collapse to (1,):

        >>> math.isclose(math.exp(log_probability(np.log(np.full((2, 2), 0.5)), [1])), 3 / 4)
        True
    """
    scores = path_scores(log_probs, paths_of_target(log_probs, target, blank))
    best = max(scores, default=-math.inf)
    if best == -math.inf:
        return -math.inf
    return float(best + math.log(math.fsum(np.exp(scores - best))))


def posteriors(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> np.ndarray:
    """Probability of class k in frame t, given the target (γ).

    Args:
        log_probs: (time, classes), nats.
        target: labels.
        blank: the blank's class.

    Returns:
        (time, classes); each frame sums to 1, or to 0 if no path fits.

    Example:
        >>> posteriors(np.log(np.full((2, 2), 0.5)), [1]).round(3).tolist()
        [[0.333, 0.667], [0.333, 0.667]]
    """
    paths = paths_of_target(log_probs, target, blank)
    whole = log_probability(log_probs, target, blank)
    if whole == -math.inf:
        return np.zeros(log_probs.shape)
    shares = np.exp(path_scores(log_probs, paths) - whole)  # (paths,)
    chosen = paths[:, :, None] == np.arange(log_probs.shape[1])  # (paths, time, classes)
    return np.einsum("p,ptc->tc", shares, chosen)


def label_spans(path: Sequence[int], blank: int = 0) -> list[tuple[int, int]]:
    """First and last frame of each label of a path.

    Example:
        >>> label_spans([0, 3, 3, 0, 3, 1])
        [(1, 2), (4, 4), (5, 5)]
    """
    spans, frame = [], 0
    for label, run in itertools.groupby(path):
        length = len(list(run))
        if label != blank:
            spans.append((frame, frame + length - 1))
        frame += length
    return spans


def best_path(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> list[int] | None:
    """The most probable path that collapses to the target.

    Among equal paths, it is the one with the lexicographically smallest first frames of its labels, then the shortest
    spans.

    Args:
        log_probs: (time, classes), nats; any constant may be added to a frame.
        target: labels.
        blank: the blank's class.

    Returns:
        one class per frame, or None if no path of positive probability fits.

    Example:
        >>> best_path(np.zeros((4, 3)), [1, 2])
        [1, 2, 0, 0]
    """
    paths = paths_of_target(log_probs, target, blank)
    scores = path_scores(log_probs, paths)
    top = max(scores, default=-math.inf)
    if top == -math.inf:
        return None
    return min(paths[scores == top].tolist(), key=lambda path: _starts_then_lengths(path, blank))


def _starts_then_lengths(path: Sequence[int], blank: int) -> tuple[list[int], list[int]]:
    spans = label_spans(path, blank)
    return [first for first, _ in spans], [last - first for first, last in spans]
