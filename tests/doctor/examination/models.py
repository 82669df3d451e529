"""A small healthy model of uneven rows with its CTC loss; the tests plant faults in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqloss.doctor import examine
from seqloss.torch import ctc_loss
from seqloss.torch.nn import Recurrent
from seqloss.torch.nn.padding import mask_padding


class Batch(NamedTuple):
    features: Tensor  # (batch, time, 4)
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


def make_batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([12, 9, 16, 7, 11])
    features = mask_padding(torch.randn(5, 16, 4, generator=generator), lengths)
    targets = torch.randint(1, 5, (5, 3), generator=generator)
    return Batch(features, lengths, targets, torch.tensor([3, 2, 3, 1, 2]))


BATCHES = [make_batch(0), make_batch(1)]


class Reader(nn.Module):
    """A convolution that halves the frames, an LSTM that reads both ways, a linear layer: healthy."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolve = nn.Conv1d(4, 8, 3, stride=2, padding=1)
        self.recurrent = Recurrent("lstm", 8, 8, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 6)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convolve(mask_padding(x, lengths).transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        return self.recurrent(x, lengths)[0], lengths

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.encode(x, lengths)
        return mask_padding(self.head(self.dropout(x)), lengths), lengths


def loss(model: nn.Module, batch: Batch) -> Tensor:
    logits, lengths = model(batch.features, batch.lengths)
    return ctc_loss(logits, batch.targets, lengths, batch.target_lengths, reduction="mean")


def names(model: nn.Module, loss: Callable[..., Any] = loss, **options: Any) -> list[str]:
    return examine(model, BATCHES, loss, **options).names


def training(model: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    return {"optimizer": optimizer, "scheduler": schedule, "steps": 100}
