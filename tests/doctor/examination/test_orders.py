"""Batches in the order of the data, wherever lengths and classes are."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seqloss.doctor import examine
from seqloss.doctor.epoch import read_epoch
from seqloss.doctor.sorted_numbers import chance_of_order

from .test_overlaps import Model, Row, collate, following


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4, 5), (1, 1, 2, 3, 3), (1, 1, 1, 1, 2)])
def test_the_chance_is_that_of_all_orders(numbers: tuple[int, ...]) -> None:
    orders = set(permutations(numbers))
    ordered = [one for one in orders if list(one) in (sorted(one), sorted(one, reverse=True))]
    assert chance_of_order(numbers) == pytest.approx(len(ordered) / len(orders))
    assert chance_of_order((2, 1, 3)) == 1.0


def melodies(count: int = 400, sizes: tuple[int, ...] = (4, 6)) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    chosen = [sizes[k] for k in torch.randint(len(sizes), (count,), generator=generator)]
    return [torch.randint(3, 12, (size,), generator=generator).tolist() for size in chosen]


def load(rows: Any, **options: Any) -> Any:
    return DataLoader(rows, 8, **{"collate_fn": collate, **options})


@pytest.mark.parametrize("sizes", [(4, 6), (3, 4, 5, 6, 7, 8)])
def test_rows_in_order_are_named_without_lengths(sizes: tuple[int, ...]) -> None:
    """The first batches have rows of one length, and there is no part with lengths."""
    rows = melodies(sizes=sizes)
    in_order = sorted(rows, key=len)
    assert examine(Model(), load(in_order), following).names == ["batches-in-order-of-length"]
    assert examine(Model(), load(in_order[::-1]), following).names == ["batches-in-order-of-length"]
    assert examine(Model(), load(in_order, shuffle=True), following).names == []
    assert examine(Model(), load(rows), following).names == []  # in an order of its own


def test_batches_of_one_length_may_come_in_any_order() -> None:
    in_order = sorted(melodies(), key=len)
    batches = [list(range(n, n + 8)) for n in range(0, 400, 8)]
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0)).tolist()
    loader = DataLoader(in_order, batch_sampler=[batches[n] for n in order], collate_fn=collate)  # type: ignore[arg-type]
    assert examine(Model(), loader, following).names == []


def test_a_loader_is_as_before_its_epochs_are_read() -> None:
    generator = torch.Generator().manual_seed(3)
    loader = load(list(range(64)), collate_fn=torch.tensor, shuffle=True, generator=generator)
    state = generator.get_state()
    first, second = (read_epoch(loader, [], number) for number in (0, 1))
    assert torch.equal(generator.get_state(), state)
    for epoch in (first, second):
        assert [batch.tolist() for batch in epoch.batches] == epoch.order
        assert sorted(n for batch in epoch.order for n in batch) == list(range(64))
    assert first.order != second.order


def classified(kinds: list[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """With the number of the row, which rises in any case."""
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(5, generator=generator), torch.tensor(kind), torch.tensor(n)) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ([n // 5 for n in range(200)], ["batches-in-order-of-class"]),  # fewer rows of a class than in a batch
        ([n // 50 for n in range(200)], ["batches-in-order-of-class"]),
        ([n % 40 for n in range(200)], []),
        ([7 * n * n % 40 for n in range(200)], []),
    ],
)
def test_small_classes_in_order_are_named(kinds: list[int], names: list[str]) -> None:
    model = nn.Linear(5, 40)
    found = examine(
        model, load(classified(kinds), collate_fn=None), lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    )
    assert found.names == names
