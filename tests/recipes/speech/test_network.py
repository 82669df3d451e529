"""The speech network: a row gets the same logits in any batch, and frames are counted as they are made."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from seqloss.recipes.speech.conformer import Conformer, rotate
from seqloss.recipes.speech.network import Network
from seqloss.recipes.speech.settings import CHOICES
from seqloss.torch.nn import UtteranceNorm


@pytest.fixture(params=list(itertools.product(CHOICES["encoder"], CHOICES["subsampling"], (True, False))))
def network(request: pytest.FixtureRequest) -> tuple[Network, int]:
    encoder, subsampling, spectral = request.param
    torch.manual_seed(0)
    made = Network(
        7, 20, spectral=spectral, norm=UtteranceNorm(), subsampling=subsampling, encoder=encoder, size=32, layers=2,
        dropout=0.3,
    )  # fmt: skip
    return made.eval(), subsampling


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 37])
def test_frames_are_counted_as_the_network_makes_them(network, frames: int) -> None:
    made, subsampling = network
    logits, lengths = made(torch.randn(1, frames, 20), torch.tensor([frames]))
    assert logits.shape[1] == lengths.item() == math.ceil(frames / subsampling)


def test_a_row_gets_the_same_logits_in_any_batch(network) -> None:
    made, _ = network
    rows = [torch.randn(frames, 20) for frames in (40, 13, 1)]
    padded = torch.full((3, 50, 20), 1e3)
    for n, row in enumerate(rows):
        padded[n, : len(row)] = row
    together, lengths = made(padded, torch.tensor([len(row) for row in rows]))
    for n, row in enumerate(rows):
        alone, own = made(row[None], torch.tensor([len(row)]))
        assert own.item() == lengths[n]
        torch.testing.assert_close(together[n, : lengths[n]], alone[0], atol=2e-5, rtol=0)


def test_every_parameter_gets_a_gradient(network) -> None:
    made, _ = network
    logits, _ = made(torch.randn(2, 21, 20), torch.tensor([21, 9]))
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


def test_attention_depends_on_distances_alone() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    a, b = rotate(a.expand(1, 1, 30, 8)), rotate(b.expand(1, 1, 30, 8))
    torch.testing.assert_close(a[0, 0, 5] @ b[0, 0, 9], a[0, 0, 20] @ b[0, 0, 24])
    assert (a[0, 0, 5] @ b[0, 0, 9] - a[0, 0, 5] @ b[0, 0, 10]).abs() > 1e-3


def test_a_conformer_sees_the_whole_row() -> None:
    torch.manual_seed(0)
    model = Conformer(16, 1).eval()
    x = torch.randn(1, 60, 16, requires_grad=True)
    model(x, torch.tensor([60]))[0, 0].sum().backward()
    assert x.grad[0, 59].abs().sum() > 0
