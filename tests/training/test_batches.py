"""The batches of an epoch: each item once, in an order that follows from seed and epoch alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seqloss.training.batches import BatchSampler, Source


class Lengths(Source):
    """A source of so many items of uneven length."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def item(self, epoch: int, index: int) -> int:
        return index

    def length(self, epoch: int, index: int) -> int:
        return index * 7919 % 101


def batches(count: int, epoch: int = 0, **options: int | None) -> list[list[tuple[int, int]]]:
    order = BatchSampler(Lengths(count), **{"batch": 4, "seed": 0, **options})
    order.set_epoch(epoch)
    found = list(order)
    assert len(found) == len(order)
    return found


@pytest.mark.parametrize("count", [1, 4, 7, 64, 203])
@pytest.mark.parametrize("seed", [0, 5, None])
def test_an_epoch_has_each_item_once(count: int, seed: int | None) -> None:
    keys = [key for batch in batches(count, 3, seed=seed) for key in batch]
    assert sorted(keys) == [(3, index) for index in range(count)]


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    order = BatchSampler(Lengths(100), 4, 0)
    for epoch in (0, 1, 2):
        order.set_epoch(epoch)
        list(order)
    assert list(order) == batches(100, 2)


def test_each_seed_and_each_epoch_has_its_own_order() -> None:
    orders = [
        [[index for _, index in batch] for batch in batches(100, epoch, seed=seed)]
        for epoch in (0, 1)
        for seed in (0, 1)
    ]
    assert all(one != other for place, one in enumerate(orders) for other in orders[:place])


def test_items_of_a_batch_have_similar_lengths() -> None:
    def spread(found: list) -> float:
        return np.mean([np.ptp([Lengths(200).length(*key) for key in batch]) for batch in found])

    shuffled = np.random.default_rng(0).permutation(200).reshape(-1, 4)
    assert spread(batches(200)) < spread([[(0, index) for index in batch] for batch in shuffled]) / 4


@pytest.mark.parametrize(("count", "world"), [(64, 2), (60, 2), (61, 3), (8, 4)])
def test_processes_share_an_epoch_evenly(count: int, world: int) -> None:
    shares = [batches(count, rank=rank, world=world) for rank in range(world)]
    keys = [key for share in shares for batch in share for key in batch]
    assert len({len(share) for share in shares}) == 1
    assert set(keys) == {(0, index) for index in range(count)}
    assert len(keys) - count <= 4 * (-math.ceil(count / 4) % world)  # only what evens them out is seen twice
