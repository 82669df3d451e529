"""What is stored of the path sums is what the formula says: some sqrt(time) of all states, not all of them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.kernels.triton.ctc import posteriors, sums
from seqloss.kernels.triton.tiles import LONGEST


class Counting:
    """torch, but that the bytes of fresh memory are counted, those of states alone: wide numbers, of some axes."""

    def __init__(self) -> None:
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def empty(self, shape: tuple[int, ...], **options: Any) -> torch.Tensor:
        fresh = torch.empty(shape, **options)
        if options["dtype"] == torch.int64 and len(shape) > 2:
            self.bytes += fresh.nbytes
        return fresh


@pytest.mark.parametrize(
    ("batch", "time", "labels"),
    [(1, 1, 0), (2, 9, 3), (3, 50, 12), pytest.param(1, 3, LONGEST, id="longer than a block")],
)
def test_the_states_that_are_stored_are_those_of_the_formula(
    device: torch.device, batch: int, time: int, labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting()
    for module in (sums, posteriors):
        monkeypatch.setattr(module, "torch", counting)
    targets = torch.arange(labels, device=device).remainder(2).add(1).expand(batch, -1)
    lengths = torch.full((batch,), time, device=device), torch.full((batch,), labels, device=device)
    ctc.forward(torch.zeros(batch, time, 3, device=device), targets, *lengths, blank=0, normalize=True, gradient=True)
    assert counting.bytes == posteriors.stored_bytes(device, batch, time, labels)


def test_a_loss_alone_stores_no_states(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setattr(sums, "torch", counting)
    lengths = torch.tensor([9, 7], device=device), torch.tensor([2, 2], device=device)
    targets = torch.tensor([[1, 2], [2, 1]], device=device)
    ctc.forward(torch.zeros(2, 9, 3, device=device), targets, *lengths, blank=0, normalize=True, gradient=False)
    assert counting.bytes == 0


def test_four_times_the_frames_store_twice_the_states() -> None:
    bytes_of = [stored(64, time, 400) for time in (1000, 4000, 16000)]
    assert all(1.5 < more / less < 2.5 for less, more in itertools.pairwise(bytes_of))


@pytest.mark.parametrize(("batch", "time", "labels"), [(64, 4000, 400), (64, 8000, 1500), (256, 1000, 100)])
def test_a_large_batch_stores_an_eighth_of_what_all_states_would_take(batch: int, time: int, labels: int) -> None:
    assert stored(batch, time, labels) < all_states(batch, time, labels) / 8


@pytest.mark.parametrize(("batch", "time", "labels"), [(4, 4000, 800), (1, 100, 10), (32, 1500, 120)])
def test_a_small_one_stores_little_more_than_the_states_of_one_way(batch: int, time: int, labels: int) -> None:
    assert stored(batch, time, labels) < 0.7 * all_states(batch, time, labels)


def stored(batch: int, time: int, labels: int) -> int:
    """On a GPU."""
    return posteriors.stored_bytes(torch.device("cuda"), batch, time, labels)


def all_states(batch: int, time: int, labels: int) -> int:
    """Of both ways, in every frame."""
    return 2 * batch * time * (labels + 1) * posteriors.WORDS
