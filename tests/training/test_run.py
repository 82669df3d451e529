"""A run's folder: what may be resumed, renamed, written and read."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from seqloss.errors import RunError
from seqloss.training.run import Run

SETTINGS = {"epochs": 2, "data_digest": "a", "vocabulary_digest": "b"}


def begin(folder: Path, settings: dict = SETTINGS, **options: bool) -> None:
    with Run(folder).begin(settings, **options):
        pass


def test_the_same_settings_resume(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    begin(tmp_path / "r")
    assert json.loads((tmp_path / "r/settings.json").read_text()) == SETTINGS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "(epochs was 2, now 3)"),
        ({"data_digest": "z"}, "(data: changed since the run began)"),
        ({"vocabulary_digest": "z"}, "(vocabulary: changed since the run began)"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, change: dict, message: str) -> None:
    begin(tmp_path / "r")
    with pytest.raises(RunError) as refused:
        begin(tmp_path / "r", {**SETTINGS, **change})
    assert message in str(refused.value)


def test_fresh_renames_each_earlier_run(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    begin(tmp_path / "r", {**SETTINGS, "epochs": 3}, fresh=True)
    begin(tmp_path / "r", {**SETTINGS, "epochs": 4}, fresh=True)
    epochs = [json.loads((tmp_path / f"{n}/settings.json").read_text())["epochs"] for n in ("r.old-1", "r.old-2", "r")]
    assert epochs == [2, 3, 4]


def test_fresh_works_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "r")
    monkeypatch.chdir(tmp_path / "r")
    begin(Path(), {**SETTINGS, "epochs": 3}, fresh=True)
    assert json.loads((tmp_path / "r/settings.json").read_text())["epochs"] == 3


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/thesis.doc").touch()
    with pytest.raises(RunError, match="contains files but no run"):
        begin(tmp_path / "r", fresh=fresh)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["r", "r/thesis.doc"]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_is_no_folder_for_a_run(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(RunError, match="expected a folder for the run, found a file"):
        begin(tmp_path / "r", fresh=fresh)
    assert (tmp_path / "r").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"\(Not a directory\); choose another folder with --out") as caught:
        begin(tmp_path / "file/r")
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOTDIR


@pytest.mark.parametrize("torn", ["", '{"epochs": ', "[]", "\x00"])
def test_torn_settings_are_reported(tmp_path: Path, torn: str) -> None:
    begin(tmp_path / "r")
    (tmp_path / "r/settings.json").write_text(torn)
    with pytest.raises(RunError, match=r"settings.json: cannot be read .*--fresh"):
        begin(tmp_path / "r")


def test_torn_settings_are_no_hindrance_to_fresh(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    (tmp_path / "r/settings.json").write_text("{")
    begin(tmp_path / "r", fresh=True)
    assert (tmp_path / "r.old-1/settings.json").read_text() == "{"


def test_what_a_killed_process_left_aside_is_removed(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    left = [tmp_path / "r/.settings.json.9.part", tmp_path / "r/checkpoints/.last.ckpt.9.part"]
    for part in left:
        part.touch()
    begin(tmp_path / "r")
    assert not any(part.exists() for part in left)


HOLDER = """
import sys
from pathlib import Path
from seqloss.training.run import Run
with Run(Path(sys.argv[1])).begin({"epochs": 2, "data_digest": "a", "vocabulary_digest": "b"}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_locked_by_one_process_until_it_ends(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.read(4) == b"held"
    for fresh in (False, True):
        with pytest.raises(RunError, match=rf"another process \(PID {holder.pid}\) is training in it"):
            begin(tmp_path / "r", fresh=fresh)
    holder.kill()
    holder.communicate()
    begin(tmp_path / "r")


def test_a_run_without_an_epoch_has_no_weights(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    with pytest.raises(RunError, match="has no finished epoch yet"):
        Run(tmp_path / "r").best_weights()
