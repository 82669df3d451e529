"""The tables of the tuning page are those of its measurements, and a training of a study is run once."""

from __future__ import annotations

import sys

import pytest

from ..pages import ROOT, read_page

sys.path.insert(0, str(ROOT / "benchmarks"))

import tuning
from tuning_figures import TABLES, group, table
from tuning_studies import STUDIES, with_rows

TRAININGS = {training.name: training for study in STUDIES.values() for training in study}
ROWS = [
    (changed, row)
    for changed, trainings in TABLES.items()
    for row in table(changed, trainings, group(tuning.read_lines())).splitlines()
]


@pytest.mark.parametrize(("changed", "row"), ROWS)
def test_each_row_of_a_table_is_on_the_page(changed: str, row: str) -> None:
    assert row in read_page("docs/guides/tuning.md").splitlines(), changed


@pytest.mark.parametrize("name", sorted({name for table in TABLES.values() for name in table.values()}))
def test_each_training_of_a_table_was_measured_with_three_seeds(name: str) -> None:
    assert sorted(line["seed"] for line in tuning.read_lines() if line["name"] == name) == [0, 1, 2]


@pytest.mark.parametrize(("rows", "epochs"), [(842, 60), (100, 505), (30, 600)])
def test_fewer_rows_are_trained_for_as_many_updates_up_to_600_epochs(rows: int, epochs: int) -> None:
    assert with_rows("captcha", rows).options == {"epochs": epochs, "patience": epochs // 2}


def test_a_training_that_was_measured_is_not_repeated(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tuning, "RESULTS", tmp_path / "lines.jsonl")
    training, other = TRAININGS["captcha, 30 rows"], TRAININGS["captcha, 100 rows"]
    tuning.append_line({"name": training.name, "seed": 1, "error": 0.5, "seconds": 1.0})
    assert [tuning.is_done(training, seed) for seed in (0, 1)] == [False, True]
    assert not tuning.is_done(other, 1)


def test_rows_are_taken_of_the_training_split_alone_and_are_the_same_for_a_seed(tmp_path) -> None:
    lines = [f"{row}.png,{row},{'test' if row % 4 == 0 else 'train'}" for row in range(40)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,text,split", *lines]))
    kept = []
    for place, seed in (("first", 0), ("second", 0), ("third", 1)):
        (tmp_path / place).mkdir()
        kept.append(tuning.place_rows(tmp_path, tmp_path / place, 8, seed).read_text().splitlines()[1:])
    assert kept[0] == kept[1]
    assert kept[0][:8] != kept[2][:8]
    assert [line.endswith("train") for line in kept[0]] == [True] * 8 + [False] * 10
