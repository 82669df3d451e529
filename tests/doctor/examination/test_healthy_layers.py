"""Healthy layers that laws once called faults: found by the trial of benchmarks/doctor.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloss.doctor import examine

from .models import BATCHES, Reader, names


class Attending(Reader):
    """Attention has a dropout of its own, which is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.TransformerEncoderLayer(16, 2, 16, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.encode(x, lengths)
        padding = torch.arange(x.shape[1])[None, :] >= lengths[:, None]
        x = self.attention(x, src_key_padding_mask=padding)
        return self.head(x).masked_fill(padding[:, :, None], 0), lengths


def test_dropout_of_attention_is_no_statistic_over_padding() -> None:
    assert names(Attending()) == []


class Remembering(Reader):
    """In training, it goes on from the outputs of the batch before."""

    state: Tensor | float = 0.0

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, lengths = super().forward(x, lengths)
        if self.training:
            scores, self.state = scores + self.state, scores.detach().mean()
        return scores, lengths


def test_state_that_is_carried_from_batch_to_batch_is_no_padding() -> None:
    assert names(Remembering()) == []


class Normed(nn.Module):
    """The gradient of a bias before a batch norm is 0 but for rounding, and plain SGD does not move it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_a_bias_before_a_batch_norm_need_not_move() -> None:
    model, batch = Normed(), (torch.randn(32, 4), torch.arange(32) % 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    found = examine(model, [batch], lambda m, b: nn.functional.cross_entropy(m(b[0]), b[1]), optimizer=optimizer)
    assert found.names == []


def test_each_of_two_inputs_is_cut_at_its_own_lengths() -> None:
    """Both have the same longest row, in another place."""

    class Pairs(Reader):
        def forward(self, x: Tensor, lengths: Tensor, other: Tensor, other_lengths: Tensor) -> tuple[Tensor, ...]:
            return super().forward(x, lengths)[0], super().forward(other, other_lengths)[0]

    def apart(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        one, other = model(batch["x"], batch["lengths"], batch["other"], batch["other_lengths"])
        return (one.sum((1, 2)) - other.sum((1, 2)) - batch["difference"]).square().mean()

    first, second = BATCHES
    batch = {
        "x": first.features, "lengths": first.lengths,
        "other": second.features.flip(0), "other_lengths": second.lengths.flip(0),
        "difference": torch.arange(5.0),
    }  # fmt: skip
    assert examine(Pairs(), [batch], apart).names == []
