"""A command run in this process, and a small data folder with a run that was trained on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seqloss.cli import main

from ..ocr_fixtures import write_words

Ran = tuple[int, str, str]


@pytest.fixture(scope="module", autouse=True)
def one_thread_in_children(one_thread: None) -> Iterator[None]:
    """Threads that wait for each other make a busy machine crawl."""
    with pytest.MonkeyPatch.context() as patch:
        if "OMP_NUM_THREADS" not in os.environ:
            patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def seqloss(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["seqloss", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def trained_words(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., object]) -> tuple[Path, Path]:
    """(images, run), trained until it reads something; not to be written to."""
    home = tmp_path_factory.mktemp("cli")
    data = write_words(home / "data")
    train(data, home / "run", epochs=25)
    return data, home / "run"
