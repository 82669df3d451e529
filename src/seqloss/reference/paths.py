"""CTC by its definition: list every path, keep those that collapse to the target, add up.

A path π chooses one class per frame; frames choose independently, so with y the frames' probabilities

    p(π) = Π_t y_t(π_t).

B collapses a path to the labels that it reads: first join equal neighbours, then drop blanks. A target l is
read by all paths in B⁻¹(l), and everything that CTC says follows from them:

    P(l) = Σ_{π ∈ B⁻¹(l)} p(π)                       the loss is -log P(l)
    γ_t(k) = Σ_{π ∈ B⁻¹(l), π_t = k} p(π) / P(l)     the posterior of class k in frame t

There are classes^frames paths, so this is for a handful of frames: the reference that `ctc` is held against.

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
    """Read the labels of a path (B in the paper): join equal neighbours, then drop blanks.

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
def group(frames: int, classes: int, blank: int = 0) -> dict[Labels, np.ndarray]:
    """List all paths of this many frames, grouped by the target that they collapse to (B⁻¹), once per shape.

    Args:
        frames: length of the paths.
        classes: size of the alphabet, the blank included.
        blank: the blank's class, from 0.

    Returns:
        for each target that some path reads, its paths (paths, time), in lexicographic order.

    Example:
        >>> {target: paths.tolist() for target, paths in group(2, 2).items()}
        {(): [[0, 0]], (1,): [[0, 1], [1, 0], [1, 1]]}
    """
    groups = defaultdict(list)
    for path in itertools.product(range(classes), repeat=frames):
        groups[collapse(path, blank)].append(path)
    return {target: np.array(paths, np.int64).reshape(len(paths), frames) for target, paths in groups.items()}


def fitting(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> np.ndarray:
    """All paths (paths, time) that collapse to the target; none of them may have a probability above 0.

    Example:
        >>> fitting(np.zeros((3, 3)), [1, 2]).tolist()
        [[0, 1, 2], [1, 0, 2], [1, 1, 2], [1, 2, 0], [1, 2, 2]]
    """
    frames, classes = log_probs.shape
    return group(frames, classes, blank).get(tuple(target), np.zeros((0, frames), np.int64))


def path_scores(log_probs: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """Add up the log probabilities along each path, log p(π) = Σ_t log y_t(π_t), correctly rounded.

    Example:
        >>> path_scores(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([[0, 1]])) == np.log(0.5) + np.log(0.75)
        array([ True])
    """
    steps = log_probs[np.arange(log_probs.shape[0]), paths]  # (paths, time)
    return np.array([math.fsum(path) for path in steps.tolist()])  # (paths,)


def total(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> float:
    """Log probability that the frames read as the target, log Σ_{π ∈ B⁻¹(l)} p(π); -inf when nothing fits.

    Args:
        log_probs: (time, classes), nats.
        target: labels.
        blank: the blank's class.

    Returns:
        log P(l); the CTC loss is its negative.

    Example:
        Two frames of two equally likely classes read as (1,) along 3 of 4 paths:

        >>> math.isclose(math.exp(total(np.log(np.full((2, 2), 0.5)), [1])), 3 / 4)
        True
    """
    scores = path_scores(log_probs, fitting(log_probs, target, blank))
    best = max(scores, default=-math.inf)
    if best == -math.inf:
        return -math.inf
    return float(best + math.log(math.fsum(np.exp(scores - best))))


def posteriors(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> np.ndarray:
    """Probability that frame t chose class k, given that the frames read as the target (γ).

    Args:
        log_probs: (time, classes), nats.
        target: labels.
        blank: the blank's class.

    Returns:
        (time, classes); each frame adds up to 1, or to 0 when nothing fits.

    Example:
        >>> posteriors(np.log(np.full((2, 2), 0.5)), [1]).round(3).tolist()
        [[0.333, 0.667], [0.333, 0.667]]
    """
    paths = fitting(log_probs, target, blank)
    whole = total(log_probs, target, blank)
    if whole == -math.inf:
        return np.zeros(log_probs.shape)
    shares = np.exp(path_scores(log_probs, paths) - whole)  # (paths,)
    chosen = paths[:, :, None] == np.arange(log_probs.shape[1])  # (paths, time, classes)
    return np.einsum("p,ptc->tc", shares, chosen)


def label_spans(path: Sequence[int], blank: int = 0) -> list[tuple[int, int]]:
    """First and last frame of each label that a path reads.

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


def best(log_probs: np.ndarray, target: Sequence[int], blank: int = 0) -> list[int] | None:
    """The most probable path that reads as the target; among equals the earliest labels, then the shortest.

    Equal paths are told apart by their label starts, the lexicographically earliest first, and then by the
    spans of their labels, the shortest first.

    Args:
        log_probs: (time, classes), nats; any constant may be added to a frame.
        target: labels.
        blank: the blank's class.

    Returns:
        one class per frame, or None when no path of positive probability fits.

    Example:
        >>> best(np.zeros((4, 3)), [1, 2])
        [1, 2, 0, 0]
    """
    paths = fitting(log_probs, target, blank)
    scores = path_scores(log_probs, paths)
    top = max(scores, default=-math.inf)
    if top == -math.inf:
        return None
    return min(paths[scores == top].tolist(), key=lambda path: _starts_then_lengths(path, blank))


def _starts_then_lengths(path: Sequence[int], blank: int) -> tuple[list[int], list[int]]:
    spans = label_spans(path, blank)
    return [first for first, _ in spans], [last - first for first, last in spans]
