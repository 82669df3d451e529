"""A folder in any layout trains with one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.rows import read_rows
from seqloss.training.run import Run

from ...data.layouts.trees import TREES, write


@pytest.mark.parametrize("tree", TREES)
def test_a_folder_trains_and_says_where_its_texts_are(tree: str, train, tmp_path: Path) -> None:
    TREES[tree](tmp_path / "data")
    lines: list[str] = []
    result = train(tmp_path / "data", tmp_path / "run", epochs=1, print_line=lines.append)
    assert result["epochs"] == 1
    assert lines[0].startswith("texts")


def test_a_run_inside_its_data_folder_is_no_data(tmp_path: Path) -> None:
    TREES["file_names"](tmp_path)
    before = read_rows(tmp_path)
    for name in ("runs/a", "runs/a.old-1"):
        with Run(tmp_path / name).begin({"epochs": 1}):
            write(tmp_path / name / "history.json", "[]")
            write(tmp_path / name / "skipped.csv", "file,row,reason\n")
    assert read_rows(tmp_path) == before
