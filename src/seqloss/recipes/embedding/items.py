"""Labelled items of uneven length, and their batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqloss.counts import format_count
from seqloss.errors import DataError


class LabelledItem(NamedTuple):
    """One item of a `LabelledSource`.

    Attributes:
        values: (steps,) or (steps, features).
        label: items with equal labels belong together.
        number: of the item, unique in its split.
        split: its name.
    """

    values: Tensor
    label: int
    number: int
    split: str


@dataclass
class LabelledBatch:
    """Items padded with 0 to (batch, steps) or (batch, steps, features), their labels, and what they are."""

    values: Tensor
    lengths: Tensor
    labels: Tensor
    numbers: Tensor
    split: str

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: Any, **options: Any) -> LabelledBatch:
        """With values and labels on a device; lengths and numbers stay on the host."""
        values, labels = self.values.to(device, **options), self.labels.to(device, **options)
        return LabelledBatch(values, self.lengths, labels, self.numbers, self.split)

    def pin_memory(self) -> LabelledBatch:
        return LabelledBatch(
            self.values.pin_memory(), self.lengths, self.labels.pin_memory(), self.numbers, self.split
        )  # fmt: skip


def stack_items(items: Sequence[LabelledItem]) -> LabelledBatch:
    """The batch of items of one split."""
    return LabelledBatch(
        nn.utils.rnn.pad_sequence([item.values for item in items], batch_first=True),
        torch.tensor([len(item.values) for item in items]),
        torch.tensor([item.label for item in items]),
        torch.tensor([item.number for item in items]),
        items[0].split,
    )


def refuse_without_pairs(labels: Sequence[object], items: str) -> None:
    """Raise a `DataError` for labels of which no two items have the same, or none another."""
    counts = Counter(labels)
    if len(counts) < 2 or max(counts.values()) < 2:
        found = f"{format_count(len(counts), 'label')} for {len(labels)} {items}"
        advice = f"a second one of a label, among the {items}" if len(counts) > 1 else f"{items} of another label"
        raise DataError(f"found {found}, expected two labels or more, one of them twice; add {advice}.")
