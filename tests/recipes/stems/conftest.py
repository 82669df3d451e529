"""Invented roots with the endings of English verbs, and a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ...ocr_fixtures import make_train

ROOTS = [a + b + c for a in ("bl", "dr", "m", "st", "p") for b in ("i", "o", "a") for c in ("mp", "nk", "lt", "rt")]
ENDINGS = ("", "s", "ed", "ing")
SMALL = {"size": 48, "dimensions": 16, "batch": 32, "epochs": 2}


def write_words(file: Path, *more: str) -> Path:
    """240 words of 60 stems, in lines; and more lines."""
    lines = [root + ending for ending in ENDINGS for root in ROOTS]
    file.write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return write_words(tmp_path / "words.txt")


@pytest.fixture(scope="session")
def stems_task(one_thread: None) -> Callable[..., Any]:
    """The stems task for a file of words, small, with changed settings."""
    from seqloss.recipes.stems.settings import Settings
    from seqloss.recipes.stems.task import StemsTask

    return lambda data, **changes: StemsTask(Settings(**{"data": data and str(data), **SMALL, **changes}))


@pytest.fixture(scope="session")
def train_stems(stems_task: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(stems_task)
