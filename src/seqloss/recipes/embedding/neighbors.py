"""The nearest rows of each row, and how many of them have its label."""

from __future__ import annotations

import numpy as np

from seqloss.recipes.embedding.similarity import cosines

NEAREST = 10
"""Neighbours of a row that count."""

ROWS = 1024
"""Rows whose similarity to all others is computed at once."""


def find_nearest(rows: np.ndarray, others: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """The ten nearest of other rows by cosine, the nearest first.

    Args:
        rows: (n, features).
        others: (m, features).
        places: of each row (n,) among the others, where it does not count; None where rows and others are the same.

    Returns:
        Their places (n, 10), or (n, m - 1) for less than 11 others.
    """
    places = np.arange(len(rows)) if places is None else places
    found = []
    for start in range(0, len(rows), ROWS):
        scores = cosines(rows[start : start + ROWS], others)
        scores[np.arange(len(scores)), places[start : start + ROWS]] = -np.inf
        found.append(_largest(scores, min(NEAREST, len(others) - 1)))
    return np.concatenate(found) if found else np.zeros((0, 0), np.int64)


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the largest scores of each row, from large to small."""
    kept = np.sort(np.argpartition(-scores, min(count, scores.shape[1] - 1), axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(scores, kept, 1), axis=1, kind="stable")
    return np.take_along_axis(kept, order, 1)


def neighbor_recall(labels: np.ndarray, others: np.ndarray, nearest: np.ndarray) -> float:
    """Recall at ten of rows with labels (n,), whose nearest (n, 10) are places in others with labels (m,).

    Each row is one of the others.

    Example:
        >>> neighbor_recall(np.array([7, 7, 8]), np.array([7, 7, 8]), np.array([[2], [0], [0]]))
        0.5
    """
    known, counts = np.unique(others, return_counts=True)
    same = counts[np.searchsorted(known, labels)] - 1
    hits = (others[nearest] == labels[:, None]).sum(1)
    shares = hits[same > 0] / np.minimum(same[same > 0], NEAREST)
    return float(shares.mean()) if len(shares) else float("nan")


def choose_with_others(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many rows, evenly spread, whose label another row has too; and how many other rows have it.

    Example:
        >>> choose_with_others(np.array([7, 8, 7, 9, 9, 9]), 3)
        (array([0, 3, 5]), array([1, 2, 2]))
    """
    _, own, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    others = sizes[own] - 1
    found = np.flatnonzero(others)
    chosen = found[np.linspace(0, len(found) - 1, min(count, len(found))).astype(int)]
    return chosen, others[chosen]
