"""Perplexity of a split."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Perplexity(Metric):
    """exp of the mean loss of all predicted words."""

    total: Tensor
    count: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, losses: Tensor, words: int) -> None:
        """Add the losses of a batch in nats, 0 in the padding, and how many words they are of."""
        self.total += losses.detach().double().sum()
        self.count += words

    def compute(self) -> Tensor:
        return (self.total / self.count).exp()
