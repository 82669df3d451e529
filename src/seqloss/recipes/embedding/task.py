"""`EmbeddingTask`: the part of a task that all recipes for embeddings have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchmetrics import Metric as Accumulator

from seqloss.counts import format_count
from seqloss.recipes.embedding.items import LabelledBatch, LabelledItem, stack_items
from seqloss.recipes.embedding.similarity import LOSSES
from seqloss.training.labelled_batches import LabelledSource
from seqloss.training.settings import TrainingSettings
from seqloss.training.task import Data, Example, Outputs, Task


class EmbeddingTask(Task):
    """A network that maps an item to a vector. Items of the same label come close to each other.

    Sources are `LabelledSource`s of `LabelledItem`s; the network takes (values, lengths).

    Args:
        settings: of the run.
        loss: a name in `LOSSES`.
        margin: of the loss; None for the usual one.
    """

    baseline_name = "equal embeddings"

    def __init__(self, settings: TrainingSettings, loss: str, margin: float | None) -> None:
        super().__init__(settings)
        chosen = LOSSES[loss]
        self.unit = chosen.unit  # type: ignore[misc]
        self.batch_loss = chosen.make(chosen.margin if margin is None else margin)
        self.similarity, self.to_points = chosen.similarity, chosen.to_points

    def collate(self, items: Sequence[LabelledItem]) -> LabelledBatch:
        return stack_items(items)

    def forward(self, network: nn.Module, batch: LabelledBatch) -> Outputs:
        return {"embeddings": network(batch.values, batch.lengths)}

    def loss(self, batch: LabelledBatch, outputs: Outputs) -> Tensor:
        return self.batch_loss(outputs["embeddings"], batch.labels)

    def update_metrics(
        self, metrics: Mapping[str, Accumulator], batch: LabelledBatch, outputs: Outputs
    ) -> Sequence[Example]:
        for metric in metrics.values():
            metric.update(outputs["embeddings"], batch)
        return ()

    # --- sanity checks

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        source = data.sources["train"]
        assert isinstance(source, LabelledSource)
        labels = [source.label(0, index) for index in range(len(source))]
        sizes, (first, *_) = Counter(labels).values(), source.batches(0, self.settings.batch, None)
        items, counted = format_count(max(sizes), self.item), format_count(len(first), self.item)
        distinct = format_count(len({labels[index] for index in first}), "label")
        yield f"labels: {len(sizes)}, of {min(sizes)} to {items} each; a batch of {counted} has {distinct}"

    def baseline_loss(self, batch: LabelledBatch, outputs: Outputs) -> float:
        """All embeddings are the same."""
        return float(self.loss(batch, {"embeddings": torch.ones_like(outputs["embeddings"])}))

    def empty_input(self, batch: LabelledBatch) -> LabelledBatch:
        return replace(batch, values=torch.zeros_like(batch.values))
