"""Which rows train, validate and test."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.rows import Row, read_rows
from seqloss.data.splits import split_rows
from seqloss.errors import DataError

CAPTCHA = Path(__file__).parents[2] / ".." / "shared" / "data" / "captcha"


def rows_with(*splits: str | None, folder: str = "/data") -> list[Row]:
    return [Row("m.csv", k + 2, Path(folder) / f"{k}.png", "a", s, f"{k}.png") for k, s in enumerate(splits)]


def lines(rows: list[Row]) -> list[int | None]:
    return [row.row for row in rows]


def test_the_split_column_decides() -> None:
    splits, bad = split_rows(rows_with("train", "val", "valid", "validation", "dev", "test", " Train "))
    assert lines(splits.train) == [2, 8]
    assert lines(splits.validation) == [3, 4, 5, 6]
    assert lines(splits.test) == [7]
    assert bad == []


def test_without_a_split_column_a_tenth_validates() -> None:
    splits, _ = split_rows(rows_with(*[None] * 50))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (45, 5, 0)


def test_without_validation_rows_a_tenth_of_train_is_held_out_and_test_is_left_alone() -> None:
    splits, _ = split_rows(rows_with(*["train"] * 20, *["test"] * 10))
    assert (len(splits.train), len(splits.validation)) == (18, 2)
    assert lines(splits.test) == list(range(22, 32))
    assert set(lines(splits.train)).isdisjoint(lines(splits.validation))


def test_the_held_out_tenth_does_not_depend_on_order_or_on_the_path_of_the_folder() -> None:
    here, _ = split_rows(rows_with(*[None] * 50))
    there, _ = split_rows(rows_with(*[None] * 50, folder="/elsewhere")[::-1])
    assert {row.name for row in here.validation} == {row.name for row in there.validation}


def test_a_single_row_trains() -> None:
    splits, _ = split_rows(rows_with(None))
    assert (len(splits.train), len(splits.validation)) == (1, 0)


def test_an_unknown_split_is_reported() -> None:
    _, bad = split_rows(rows_with("train", "trian"))
    assert [(row.row, row.reason) for row in bad] == [(3, "1.png: split is 'trian'; write train, validation or test")]


def test_an_empty_split_among_named_ones_is_reported() -> None:
    _, bad = split_rows(rows_with("train", ""))
    assert [(row.row, row.reason) for row in bad] == [
        (3, "1.png: no split, while other rows have one; write train, validation or test")
    ]


def test_nothing_to_train_with_is_reported() -> None:
    with pytest.raises(DataError, match="no training rows; give some rows the split 'train'"):
        split_rows(rows_with("test", "val"))


@pytest.mark.skipif(not CAPTCHA.exists(), reason="no ../shared/data beside this checkout")
def test_captcha_holds_out_a_tenth_and_keeps_its_94_test_rows() -> None:
    rows, bad, _ = read_rows(CAPTCHA)
    splits, unknown = split_rows(rows)
    assert (bad, unknown) == ([], [])
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (758, 84, 94)


def test_a_row_with_a_character_of_its_own_is_not_held_out() -> None:
    texts = [f"t{number}" for number in range(8)] + ["tt", "t"]
    rows = [Row("m.csv", k, Path(f"/data/{k}.png"), text, None, f"{k}.png") for k, text in enumerate(texts)]
    splits, _ = split_rows(rows)
    assert {held.text for held in splits.validation} <= {"tt", "t"}
    kept = set("".join(one.text for one in splits.train))
    assert all(set(held.text) <= kept for held in splits.validation)
