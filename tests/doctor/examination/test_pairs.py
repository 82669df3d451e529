"""Siamese networks: labels of pairs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.doctor import examine


def make_batch(seed: int, *, exchanged: bool = False, alike: bool = False) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centre, equal = 2 * torch.randn(16, 8, generator=generator), torch.arange(16) % 2
    if alike:
        centre = 0 * centre
    second = torch.where(equal[:, None] == 1, centre, centre.roll(1, 0))
    one, other = (x + 0.3 * torch.randn(16, 8, generator=generator) for x in (centre, second))
    return {"first": one, "second": other, "equal": (1 - equal if exchanged else equal).float()}


class Embedder(nn.Module):
    """Returns the distance, or the logit of a pair."""

    def __init__(self, head: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
        self.head = nn.Linear(1, 1) if head else None

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        distance = ((self.layers(first) - self.layers(second)).square().sum(-1) + 1e-6).sqrt()
        return distance if self.head is None else self.head(distance[:, None])[:, 0]


def contrast(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    far, equal = model(batch["first"], batch["second"]), batch["equal"]
    return (equal * far.square() + (1 - equal) * F.relu(1 - far).square()).mean()


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, []), ({"exchanged": True}, ["equal-pairs-move-apart"]), ({"alike": True}, [])],
)
def test_labels_of_pairs_that_are_exchanged_are_named(options: dict[str, bool], expected: list[str]) -> None:
    found = examine(Embedder(), [make_batch(seed, **options) for seed in range(4)], contrast)
    assert found.names == expected
    assert "pairs" in found.checked


def test_a_bias_that_cancels_is_no_finding() -> None:
    """That of the last layer, in a difference of two embeddings."""
    found = examine(Embedder(), [make_batch(0)], contrast)
    assert "weights-without-gradient" not in found.names
