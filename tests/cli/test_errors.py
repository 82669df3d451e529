"""Errors as messages: exit codes, what goes to stderr, and the list of invalid rows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from seqloss.cli import console, main
from seqloss.errors import RunError
from seqloss.training import engine

from ..ocr_fixtures import write_words

TEXTS = "texts: manifest.csv, columns path and text"
SMALL = ("--height", "16", "--batch", "4", "--epochs", "1", "--workers", "0")


@pytest.mark.parametrize(
    ("problem", "code", "message"),
    [
        (RunError("a [red]b[/red] c"), 2, "error: a [red]b[/red] c"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device; free some space, then give"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied"),
        (KeyError("k"), 1, "error: KeyError: 'k'  (--debug shows where)"),
    ],
)
def test_an_error_is_one_line(seqloss, monkeypatch, problem, code, message) -> None:
    def train(*arguments: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr(engine, "train", train)
    found, out, err = seqloss("train", "ocr")
    assert (found, out) == (code, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(seqloss, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["seqloss", "train", "ocr", "--data", "/nowhere", "--debug"])
    with pytest.raises(ValueError, match="/nowhere: no such file or folder") as raised:
        main()
    assert any("rows.py" in str(entry.path) for entry in raised.traceback)


def test_data_that_do_not_exist_are_reported_and_nothing_is_written(seqloss, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", tmp_path / "gone", "--out", tmp_path / "run", *SMALL)
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'gone'}: no such file or folder; give the folder that holds the images.\n"
    assert not (tmp_path / "run").exists()


def test_control_characters_do_not_reach_the_terminal(seqloss, tmp_path) -> None:
    _, _, err = seqloss("train", "ocr", "--data", tmp_path / "a\x1b[2J\udcff", *SMALL)
    assert r"a\x1b[2J\udcff: no such file" in err


# --- invalid rows


LONG = "f" * 120 + "/" + "g" * 120 + "/[red]image[/red].png"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_words(tmp_path / "data", f"{LONG},ab,train\n../out.png,ab,train\nab\x1b.png,ab,train\n")


def test_all_bad_rows_are_listed_with_file_row_and_reason(seqloss, bad, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", *SMALL)
    assert (code, out) == (2, f"{TEXTS}\n")
    header, *rows, last = err.splitlines()
    assert header.split("\t") == ["file", "row", "reason"]
    assert rows[0].split("\t") == [str(bad / "manifest.csv"), "8", f"{LONG}: no such file"]
    assert rows[1].split("\t")[1:] == [
        "9",
        f"../out.png: leads out of the data folder ({tmp_path / 'out.png'} is not under {bad})",
    ]
    assert rows[2].split("\t")[2] == r"ab\x1b.png: no such file"
    assert last == "error: 3 rows cannot be used; fix or remove them, or skip them with --skip-bad"


def test_infeasible_texts_are_reported_with_the_subsampling_at_which_they_fit(seqloss, tmp_path) -> None:
    data = write_words(tmp_path / "data", f"tight.png,{'ab' * 200},train\n")
    shutil.copy(data / "ab.png", data / "tight.png")
    code, _, err = seqloss("train", "ocr", "--data", data, "--out", tmp_path / "run", *SMALL)
    assert code == 2
    assert "with --skip-bad; 1 of " in err.splitlines()[-1]
    assert "targets needs more frames than there are at 4 pixels/frame" in err.splitlines()[-1]


def test_a_terminal_shows_bad_rows_in_a_table_that_leaves_nothing_out(seqloss, bad, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(console, "err", Console(stderr=True, highlight=False, force_terminal=True, width=60))
    _, _, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", *SMALL)
    assert "rows that cannot be used" in err
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip("│").split("│") for line in err.splitlines() if "│" in line]
    assert f"{LONG}:nosuchfile" in "".join(row[-1].replace(" ", "") for row in rows)


def test_skip_bad_trains_on_the_rest(seqloss, bad, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", "--skip-bad", *SMALL)
    assert (code, err) == (0, "")
    assert out.startswith(f"{TEXTS}\nskipped 3 invalid rows: see {tmp_path / 'run/skipped.csv'}\nimages: ")
    assert out.endswith(f"transcribe: seqloss transcribe {tmp_path / 'run'} IMAGE ...\n")
