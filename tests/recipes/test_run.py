"""A run's folder: what may be resumed, set aside, written and read."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqloss.errors import RunError
from seqloss.recipes import run as run_file
from seqloss.recipes.checkpoints import RESUMED_FROM, AsideCheckpoints, load, moved
from seqloss.recipes.run import Run

SETTINGS = {"epochs": 2, "data_digest": "a", "vocabulary_digest": "b"}
WHOLE = {part: {} for part in RESUMED_FROM}


def begin(folder: Path, settings: dict = SETTINGS, **options: bool) -> None:
    with Run(folder).begun(settings, **options):
        pass


def test_the_same_settings_resume(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    begin(tmp_path / "r")
    assert json.loads((tmp_path / "r/settings.json").read_text()) == SETTINGS


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": 3}, "(epochs was 2, now 3)"),
        ({"data_digest": "z"}, "(the data are not those that it began with)"),
        ({"vocabulary_digest": "z"}, "(vocabulary.json is not the one that it began with)"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, change: dict, told: str) -> None:
    begin(tmp_path / "r")
    with pytest.raises(RunError) as refused:
        begin(tmp_path / "r", {**SETTINGS, **change})
    assert told in str(refused.value)


def test_fresh_sets_each_earlier_run_aside(tmp_path: Path) -> None:
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
    with pytest.raises(RunError, match="holds files but no run"):
        begin(tmp_path / "r", fresh=fresh)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["r", "r/thesis.doc"]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_is_no_folder_for_a_run(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(RunError, match="expected a folder for the run, found a file"):
        begin(tmp_path / "r", fresh=fresh)
    assert (tmp_path / "r").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"\(Not a directory\); choose another folder with --out") as caught:
        begin(tmp_path / "file/r")
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOTDIR


@pytest.mark.parametrize("torn", ["", '{"epochs": ', "[]", "\x00"])
def test_torn_settings_are_told(tmp_path: Path, torn: str) -> None:
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
from seqloss.recipes.run import Run
with Run(Path(sys.argv[1])).begun({"epochs": 2, "data_digest": "a", "vocabulary_digest": "b"}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_held_by_one_process_until_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.read(4) == b"held"
    for fresh in (False, True):
        with pytest.raises(RunError, match=rf"another process \(number {holder.pid}\) is training in it"):
            begin(tmp_path / "r", fresh=fresh)
    holder.kill()
    holder.communicate()
    begin(tmp_path / "r")


# --- checkpoints


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({**WHOLE, "state_dict": Evil(tmp_path / "owned")}, tmp_path / "best.ckpt")
    with pytest.raises(RunError, match="is no checkpoint that can be read as plain data"):
        load(tmp_path / "best.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04.", os.urandom(999)])
def test_a_torn_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(RunError, match=r"last.ckpt: is no checkpoint that can be read as plain data .*--fresh"):
        load(tmp_path / "last.ckpt")


@pytest.mark.parametrize("content", [{"weights": torch.ones(1)}, torch.ones(1), [1]])
def test_a_file_of_tensors_that_is_no_checkpoint_is_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match="is no checkpoint of a run"):
        load(tmp_path / "last.ckpt")


def test_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such checkpoint"):
        load(tmp_path / "last.ckpt")


def test_a_run_without_an_epoch_has_no_weights(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    with pytest.raises(RunError, match="has no finished epoch yet"):
        Run(tmp_path / "r").weights()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "last.ckpt"
    AsideCheckpoints().save_checkpoint({**WHOLE, "epoch": 1}, target)
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by the code under test
    monkeypatch.setattr(Path, "open", lambda path, mode: full)
    with pytest.raises(RunError, match=r"No space left on device\)\. The epoch before is safe: free") as caught:
        AsideCheckpoints().save_checkpoint({**WHOLE, "epoch": 2}, target)
    monkeypatch.undo()
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    assert load(target)["epoch"] == 1


def test_a_rename_that_fails_leaves_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, target: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunError, match="Disk quota exceeded"):
        AsideCheckpoints().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(run_file.os, "fsync", lambda number: seen.append((tmp_path / "last.ckpt").exists()))
    AsideCheckpoints().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert seen == [False]


def test_the_best_epoch_is_known_after_the_folder_was_moved() -> None:
    state = {
        "dirpath": "/old/checkpoints",
        "best_model_path": "/old/checkpoints/best.ckpt",
        "last_model_path": "",
        "best_k_models": {"/old/checkpoints/best.ckpt": 0.5},
        "best_model_score": 0.5,
    }
    assert moved(state, Path("/new")) == {
        "dirpath": "/new",
        "best_model_path": "/new/best.ckpt",
        "last_model_path": "",
        "best_k_models": {"/new/best.ckpt": 0.5},
        "best_model_score": 0.5,
    }
