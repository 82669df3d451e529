"""A sigmoid before a loss that has its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine

INPUTS = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS[:, :3] > 0).float()


class Marker(nn.Module):
    def __init__(self, *, training: bool, evaluation: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
        self.squashed = {True: training, False: evaluation}

    def forward(self, x: Tensor) -> Tensor:
        scores = self.layers(x)
        return scores.sigmoid() if self.squashed[self.training] else scores


def with_logits(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(model(batch[0]), batch[1], pos_weight=torch.tensor(3.0))


@pytest.mark.parametrize(("training", "evaluation"), [(True, True), (True, False), (False, True)])
def test_a_sigmoid_before_a_loss_of_scores_is_named(training: bool, evaluation: bool) -> None:
    model = Marker(training=training, evaluation=evaluation)
    assert "softmax-twice" in examine(model, [(INPUTS, TARGETS)], with_logits).names


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse_loss", "l1_loss", "smooth_l1_loss"])
def test_a_sigmoid_before_a_loss_of_probabilities_is_healthy(loss: str) -> None:
    def compute(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return getattr(nn.functional, loss)(model(batch[0]), batch[1])

    assert examine(Marker(training=True, evaluation=True), [(INPUTS, TARGETS)], compute).names == []


def test_scores_without_a_sigmoid_are_healthy() -> None:
    assert examine(Marker(training=False, evaluation=False), [(INPUTS, TARGETS)], with_logits).names == []
