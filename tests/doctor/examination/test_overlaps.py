"""Rows of tokens that are trained on and held out: not by chance, and short ones too."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seqloss.doctor import examine
from seqloss.doctor.batches.token_rows import token_rows
from seqloss.doctor.row_overlap import _at_least, _parted, chance_of_overlap

Row = list[int]


def test_chances_are_those_of_all_ways_to_draw() -> None:
    draws = list(combinations(range(9), 4))  # 0 and 1 are a pair, 2 and 3, 4 and 5
    parted = [sum((2 * pair in one) != (2 * pair + 1 in one) for pair in range(3)) for one in draws]
    for least in range(4):
        assert _parted(least, 3, 9, 4) == pytest.approx(sum(found >= least for found in parted) / len(draws))
        marked = sum(sum(k < 6 for k in one) >= least for one in draws) / len(draws)
        assert _at_least(least, 6, 9, 4) == pytest.approx(marked)


def test_random_splits_are_no_overlap() -> None:
    """Some texts are common: the chances are at least uniform."""
    random.seed(0)
    chances = []
    for _ in range(200):
        rows = [random.randrange(60) if random.random() < 0.5 else random.randrange(2000) for _ in range(400)]
        chances.append(chance_of_overlap(rows[:300], rows[300:]))
    assert min(chances) > 1e-4
    assert sum(one < 0.05 for one in chances) <= 20


def test_copies_of_rows_that_never_repeat_are_an_overlap() -> None:
    assert chance_of_overlap(range(512), [*range(17), *range(1000, 1083)]) < 1e-8


def test_padding_is_no_part_of_a_row() -> None:
    short, long = [[5, 2, 7]], [[5, 2, 7, 0, 0], [1, 2, 3, 4, 6]]
    both = list(token_rows([torch.tensor(short), torch.tensor(long)]))
    assert both[0] == both[1]
    assert len(both) == 3


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(12, 8), nn.Linear(8, 12)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embed(ids))


def following(model: nn.Module, ids: Tensor) -> Tensor:
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], ignore_index=0)


def collate(rows: list[Row]) -> Tensor:
    return nn.utils.rnn.pad_sequence([torch.tensor([1, *row, 2]) for row in rows], batch_first=True)


def numbers(count: int, seed: int) -> list[Row]:
    generator = random.Random(seed)
    return [[3 + int(digit) % 9 for digit in str(generator.randrange(10_000))] for _ in range(count)]


def load(rows: list[Row], **options: Any) -> Any:
    return DataLoader(rows, 16, collate_fn=collate, **{"shuffle": True, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("copied", "names"), [(False, []), (True, ["held-out-overlaps"])])
def test_short_rows_that_are_held_out_too_are_named(copied: bool, names: list[str]) -> None:
    rows = [list(row) for row in dict.fromkeys(map(tuple, numbers(400, 0)))]
    held_out = rows[:48] if copied else [row for row in numbers(60, 1) if row not in rows]
    assert examine(Model(), load(rows), following, held_out=load(held_out)).names == names


def test_rows_of_a_small_language_may_be_in_both() -> None:
    rows, held_out = ([row[:2] for row in numbers(count, seed)] for count, seed in ((300, 0), (60, 1)))
    assert "held-out-overlaps" not in examine(Model(), load(rows), following, held_out=load(held_out)).names


@pytest.mark.parametrize(("twice", "names"), [(False, []), (True, ["rows-repeated"])])
def test_sentences_of_a_small_language_repeat(twice: bool, names: list[str]) -> None:
    generator = random.Random(0)
    language = [[generator.randrange(3, 12) for _ in range(20)] for _ in range(200)]
    rows = language[:100] * 2 if twice else [generator.choice(language) for _ in range(200)]
    found = examine(Model(), load(rows), following).names
    assert [name for name in found if name == "rows-repeated"] == names
