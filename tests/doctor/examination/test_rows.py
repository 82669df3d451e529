"""Rows that reach each other, and targets that are not those of their row, are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine
from seqloss.torch import ctc_loss
from seqloss.torch.nn.padding import mask_padding

from .models import Batch, Reader, names


class OverTheBatch(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(8, 8, bidirectional=True)  # without batch_first

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convolve(mask_padding(x, lengths).transpose(1, 2)).transpose(1, 2)
        return self.recurrent(x)[0], (lengths + 1) // 2


class Attention(Reader):
    """Without a mask: the padding has weights too."""

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        return (x @ x.transpose(1, 2)).softmax(2) @ x + x.mean(1, keepdim=True), lengths


class NormOverPadding(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(self.convolve(mask_padding(x, lengths).transpose(1, 2))).transpose(1, 2)
        lengths = (lengths + 1) // 2
        return self.recurrent(x, lengths)[0], lengths


def test_rows_that_reach_each_other_are_named() -> None:
    assert "outputs-depend-on-order" in names(OverTheBatch())


@pytest.mark.parametrize(
    ("kind", "name"), [(Attention, "row-depends-on-batch"), (NormOverPadding, "padding-reaches-rows")]
)
def test_padding_that_reaches_rows_is_named(kind: type[Reader], name: str) -> None:
    assert name in names(kind())


def test_targets_in_another_order_than_inputs_are_named() -> None:
    def sort_inputs_only(model: nn.Module, batch: Batch) -> Tensor:
        order = batch.lengths.argsort()
        logits, lengths = model(batch.features, batch.lengths)
        return ctc_loss(logits[order], batch.targets, lengths[order], batch.target_lengths, reduction="mean")

    assert names(Reader(), sort_inputs_only) == ["loss-depends-on-order"]


def test_targets_that_are_broadcast_are_named() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    batch = {"x": torch.randn(6, 3), "y": torch.randn(6)}

    def squared(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return (model(batch["x"]) - batch["y"]).square().mean()

    assert examine(model, [batch], squared).names == ["targets-not-paired"]
    right = examine(model, [batch], lambda model, batch: (model(batch["x"])[:, 0] - batch["y"]).square().mean())
    assert right.names == []
