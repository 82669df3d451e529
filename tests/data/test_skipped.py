"""The rows left out, in a file that no spreadsheet runs."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloss.data.skipped import escape_control, escape_formula, write_skipped
from seqloss.errors import BadRow

CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read_back(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_rows_follow_a_header(tmp_path) -> None:
    write_skipped(tmp_path / "run" / "skipped.csv", [BadRow("m.csv", 3, 'a, "b"'), BadRow("images", None, "c")])
    assert read_back(tmp_path / "run" / "skipped.csv") == [
        ["file", "row", "reason"],
        ["m.csv", "3", 'a, "b"'],
        ["images", "", "c"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\n\t@", "\u00a0+", "\ufeff=", "＝"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    assert escape_formula(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("cell", ["", "a=b", "1.png: no such file", "  a"])
def test_any_other_cell_stays_as_it_is(cell: str) -> None:
    assert escape_formula(cell) == cell


@given(st.lists(st.tuples(CELL, CELL), max_size=4))
def test_any_text_is_read_back_as_one_cell(cells: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skipped.csv"
        write_skipped(path, [BadRow(file, 1, reason) for file, reason in cells])
        assert read_back(path)[1:] == [
            [escape_control(escape_formula(file)), "1", escape_control(escape_formula(reason))]
            for file, reason in cells
        ]


def test_a_name_that_is_not_utf8_is_written_in_escapes(tmp_path) -> None:
    write_skipped(tmp_path / "skipped.csv", [BadRow("a\udcff", 1, "b")])
    assert read_back(tmp_path / "skipped.csv")[1] == ["a\\udcff", "1", "b"]


def test_control_characters_are_escaped_and_every_cell_is_quoted(tmp_path) -> None:
    write_skipped(tmp_path / "skipped.csv", [BadRow("m.csv", 2, "x;=1+1.png\x1b[31m: no such file")])
    written = (tmp_path / "skipped.csv").read_text()
    assert written.splitlines()[1] == '"m.csv","2","x;=1+1.png\\x1b[31m: no such file"'
