"""Losses of embeddings, each with the similarity of two embeddings that it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from seqloss.torch import CosineTriplet, PairwiseKLHinge

Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of rows (n, features) and rows (m, features): (n, m), larger for rows that are more alike."""


class BatchLoss(Protocol):
    """The loss of the embeddings (batch, features) of a batch with labels (batch,)."""

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class EmbeddingLoss:
    """A loss of `--loss`.

    Attributes:
        make: the loss with a margin.
        similarity: of two embeddings.
        to_points: the embeddings (n, features) without what the loss does not see, to be drawn.
        margin: the usual one.
        unit: of loss and margin.
    """

    make: Callable[[float], BatchLoss]
    similarity: Similarity
    to_points: Callable[[np.ndarray], np.ndarray]
    margin: float
    unit: str


def cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine of each row to each other one; 0 for a row of zeros.

    Example:
        >>> cosines(np.array([[3.0, 4.0]]), np.array([[3.0, 4.0], [4.0, -3.0]])).round(6).tolist()
        [[1.0, 0.0]]
    """
    return directions(rows) @ directions(others).T


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def negative_divergences(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Minus KL(p || q) - KL(q || p), with p and q the softmax of a row and of another one.

    Example:
        >>> rows = np.log(np.array([[0.5, 0.5], [0.2, 0.8]]))
        >>> negative_divergences(rows, rows).round(4).tolist()
        [[0.0, -0.4159], [-0.4159, 0.0]]
    """
    # the sum of (p - q) (log p - log q) over the classes
    p, q = _log_softmax(rows), _log_softmax(others)
    own, other = (np.exp(x) * x for x in (p, q))
    found: np.ndarray = np.exp(p) @ q.T + p @ np.exp(q).T - own.sum(1)[:, None] - other.sum(1)
    return found


def probabilities(rows: np.ndarray) -> np.ndarray:
    """The softmax of each row."""
    found: np.ndarray = np.exp(_log_softmax(rows))
    return found


def _log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows - rows.max(1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return found


LOSSES = {
    "pairwise_kl_hinge": EmbeddingLoss(PairwiseKLHinge, negative_divergences, probabilities, 2.0, "nats"),
    "cosine_triplet": EmbeddingLoss(
        lambda margin: CosineTriplet(margin, validate=False), cosines, directions, 0.3, "of cosine"
    ),
}
"""By the name of the function in the frontends. A batch without a triplet has the loss 0."""
