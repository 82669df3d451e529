"""The embeddings of held-out items by the best epoch of a run, read for its report."""

from __future__ import annotations

import numpy as np

from seqloss.recipes.embedding.metrics import Collected, SplitMetric
from seqloss.recipes.embedding.task import EmbeddingTask
from seqloss.training.batches import BatchDataset, Source
from seqloss.training.predictor import Predictor


class Collector(SplitMetric):
    """Keeps the embeddings alone."""

    def compute(self) -> None:
        """Nothing."""


def embed_source(predictor: Predictor, task: EmbeddingTask, source: Source) -> Collected:
    """The embeddings of all items of a split, in their order."""
    batches, collector, size = BatchDataset(source, task.collate), Collector(), task.settings.batch
    for start in range(0, len(source), size):
        batch = batches.first_items(start, min(start + size, len(source)))
        collector.update(predictor.outputs(batch)["embeddings"], batch)
    return collector.collect()


def principal_components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components of points (n, features): (n, 2), and their shares of the variance (2,).

    Example:
        >>> found, shares = principal_components(np.array([[0.0, 0, 3], [0, 0, 1], [0, 0, 5]]))
        >>> np.abs(found).round(6).tolist(), shares.round(6).tolist()
        ([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0]], [1.0, 0.0])
    """
    left, sizes, _ = np.linalg.svd(points - points.mean(0), full_matrices=False)
    shares = sizes**2 / max(float((sizes**2).sum()), 1e-300)
    return left[:, :2] * sizes[:2], shares[:2]
