"""Checkpoints: whole or not there, and never code."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from seqloss.errors import RunError
from seqloss.training import checkpoints
from seqloss.training.checkpoints import RESUMED_FROM, AtomicCheckpoints, load_checkpoint

WHOLE = {part: {} for part in RESUMED_FROM}


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({**WHOLE, "state_dict": Evil(tmp_path / "owned")}, tmp_path / "best.ckpt")
    with pytest.raises(RunError, match="is no checkpoint that can be read as plain data"):
        load_checkpoint(tmp_path / "best.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04.", os.urandom(999)])
def test_a_torn_checkpoint_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(RunError, match=r"last.ckpt: is no checkpoint that can be read as plain data .*--fresh"):
        load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("content", [{"weights": torch.ones(1)}, torch.ones(1), [1]])
def test_a_file_of_tensors_that_is_no_checkpoint_is_reported(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match="is no checkpoint of a run"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_no_checkpoint_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({**WHOLE, "epoch": 1}, target)
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by the code under test
    monkeypatch.setattr(Path, "open", lambda path, mode: full)
    with pytest.raises(RunError, match=r"No space left on device\)\. The epoch before is safe: free") as caught:
        AtomicCheckpoints().save_checkpoint({**WHOLE, "epoch": 2}, target)
    monkeypatch.undo()
    assert load_checkpoint(target)["epoch"] == 1
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC


def test_a_rename_that_fails_leaves_no_part_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, target: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunError, match="Disk quota exceeded"):
        AtomicCheckpoints().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(checkpoints.os, "fsync", lambda number: seen.append((tmp_path / "last.ckpt").exists()))
    AtomicCheckpoints().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert seen == [False]
