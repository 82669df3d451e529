"""Batches of labelled items: each item once, several of each of several labels, from seed and epoch alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from seqloss.training.batches import BatchSampler
from seqloss.training.labelled_batches import LabelledSource, alternate_labels, spread_labels


class Labels(LabelledSource):
    """Items with these labels."""

    def __init__(self, labels: list[int]) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, epoch: int, index: int) -> int:
        return self.labels[index]

    def item(self, epoch: int, index: int) -> int:
        return index


SORTED = [label for label in range(5) for _ in range(80)]


def batches(labels: list[int], epoch: int = 0, *, batch: int = 40, seed: int | None = 0) -> list[list[int]]:
    order = BatchSampler(Labels(labels), batch, seed)
    order.set_epoch(epoch)
    found = [[index for _, index in keys] for keys in order]
    assert len(found) == len(order)
    return found


@pytest.mark.parametrize("labels", [SORTED, [7], [1, 2, 3], [0] * 9 + [1], list(range(50)) * 2 + [3] * 30])
@pytest.mark.parametrize("seed", [0, 5, None])
def test_an_epoch_has_each_item_once(labels: list[int], seed: int | None) -> None:
    assert sorted(index for batch in batches(labels, 3, seed=seed) for index in batch) == list(range(len(labels)))


@pytest.mark.parametrize("seed", [0, 1, None])
def test_each_batch_has_several_items_of_each_of_several_labels(seed: int | None) -> None:
    for epoch in range(3):
        for batch in batches(SORTED, epoch, seed=seed):
            counts = Counter(SORTED[index] for index in batch)
            assert len(counts) >= 4
            assert sum(count >= 4 for count in counts.values()) >= 4
            assert max(counts.values()) <= 20


def test_all_items_of_a_rare_label_share_a_batch_unless_it_ends_there() -> None:
    labels = [label for label in range(100) for _ in range(3)]
    found = batches(labels, batch=30)
    together = sum(
        all(Counter(labels[index] for index in batch)[label] in (0, 3) for batch in found) for label in range(100)
    )
    assert together >= 100 - len(found)


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    order = BatchSampler(Labels(SORTED), 40, 0)
    for epoch in (0, 1, 2):
        order.set_epoch(epoch)
        list(order)
    assert [[index for _, index in keys] for keys in order] == batches(SORTED, 2)
    assert batches(SORTED, 1) != batches(SORTED, 2) != batches(SORTED, 2, seed=1)


def test_held_out_items_come_in_the_same_order_in_each_epoch() -> None:
    assert batches(SORTED, 0, seed=None) == batches(SORTED, 5, seed=None)


def test_a_label_that_changes_with_the_epoch_is_that_of_the_epoch() -> None:
    class Changing(Labels):
        def label(self, epoch: int, index: int) -> int:
            return (index + epoch) // 4

    for epoch in (0, 1):
        for batch in Changing([0] * 40).batches(epoch, 4, np.random.default_rng(epoch)):
            assert len({(index + epoch) // 4 for index in batch}) <= 3


def test_the_parts_of_a_label_are_spread_over_the_order() -> None:
    order = spread_labels(SORTED, 4, np.random.default_rng(0))
    for label in range(5):
        places = [place for place, index in enumerate(order) if SORTED[index] == label]
        assert max(b - a for a, b in pairwise(places)) < 80


def test_the_first_items_of_alternating_labels_have_several_labels() -> None:
    order = alternate_labels(SORTED)
    assert sorted(order) == list(range(400))
    assert [SORTED[index] for index in order[:12]] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0]
