"""Metrics of all pairs of a split, which take the embeddings of the whole split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from seqloss.numpy import equal_error_rate, pair_accuracy, pair_threshold
from seqloss.recipes.embedding.items import LabelledBatch
from seqloss.recipes.embedding.neighbors import find_nearest, neighbor_recall
from seqloss.recipes.embedding.similarity import Similarity


class Collected(NamedTuple):
    """Embeddings float64 (rows, features), their labels (rows,) and numbers (rows,), each row once."""

    embeddings: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray


class SplitMetric(Metric):
    """Keeps the embeddings of a split. A subclass computes."""

    embeddings: list[Tensor]
    labels: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in ("embeddings", "labels", "numbers"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, batch: LabelledBatch) -> None:
        """Keep the embeddings (batch, features) of a batch."""
        self.embeddings.append(embeddings.detach().float())
        self.labels.append(batch.labels)
        self.numbers.append(batch.numbers.to(batch.labels.device))

    def collect(self) -> Collected:
        """What was kept. With several processes, a row may have come twice."""
        found = [dim_zero_cat(state).cpu().numpy() for state in (self.embeddings, self.labels, self.numbers)]
        _, first = np.unique(found[2], return_index=True)
        return Collected(found[0][first].astype(np.float64), found[1][first], found[2][first])


class PairMetric(SplitMetric):
    """Scores all pairs of a split.

    Args:
        similarity: of two embeddings.
        focus: a label; in a split that has it, only pairs with at least one of its rows count. None for all pairs.
    """

    def __init__(self, similarity: Similarity, focus: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.similarity, self.focus = similarity, focus

    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair (pairs,): its similarity, and whether its labels are the same."""
        embeddings, labels, _ = self.collect()
        first, second = np.triu_indices(len(labels), 1)
        if self.focus is not None and (labels == self.focus).any():
            kept = (labels[first] == self.focus) | (labels[second] == self.focus)
            first, second = first[kept], second[kept]
        return self.similarity(embeddings, embeddings)[first, second], labels[first] == labels[second]


class PairError(PairMetric):
    """The equal error rate of all pairs; NaN where they are all the same, or all different."""

    def compute(self) -> Tensor:
        scores, same = self.scores()
        return torch.tensor(equal_error_rate(scores, same) if _has_both(same) else np.nan)


class PairAccuracy(PairMetric):
    """The share of pairs that a threshold decides rightly. It is chosen on the validation split, where that comes.

    NaN without a threshold.
    """

    threshold: float | None = None
    choosing = False

    def update(self, embeddings: Tensor, batch: LabelledBatch) -> None:
        self.choosing = batch.split == "validation"
        super().update(embeddings, batch)

    def compute(self) -> Tensor:
        scores, same = self.scores()
        if self.choosing and _has_both(same):
            self.threshold = pair_threshold(scores, same)
        known = self.threshold is not None and _has_both(same)
        return torch.tensor(pair_accuracy(scores, same, self.threshold) if known else np.nan)  # type: ignore[arg-type]


def _has_both(same: np.ndarray) -> bool:
    return bool(same.any() and not same.all())


class NeighborRecall(SplitMetric):
    """Recall at ten: the share of the rows of the same label that are among the nearest ten, by cosine.

    For each row with at least one other row of its label: how many of these are among its ten nearest other rows, over
    their number, at most ten. The mean over these rows; NaN without any.
    """

    def compute(self) -> Tensor:
        embeddings, labels, _ = self.collect()
        return torch.tensor(neighbor_recall(labels, labels, find_nearest(embeddings, embeddings)))
