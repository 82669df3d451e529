"""A text of an invented grammar, and a small network."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ...ocr_fixtures import make_train

SMALL = {"word_size": 42, "size": 32, "dropout": 0.0, "word_dropout": 0.0, "batch": 16, "epochs": 2, "lr": 0.01}
NOUNS = ["beer", "river", "forest", "teacher", "garden", "letter", "window", "singer", "planet", "bottle"]
VERBS = ["see", "find", "follow", "want", "need"]


def write_text(file: Path, paragraphs: int = 150) -> Path:
    """Paragraphs of one sentence: a plural noun follows "many", a singular one "one"."""
    rng = random.Random(1)
    lines = []
    for number in range(paragraphs):
        noun, verb, other = rng.choice(NOUNS), rng.choice(VERBS), rng.choice(NOUNS)
        lines.append(f"Many {noun}s {verb} one {other} near the {number} .")
    file.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt")


@pytest.fixture(scope="session")
def charlm_task(one_thread: None) -> Callable[..., Any]:
    """The charlm task for a text, small, with changed settings."""
    from seqloss.recipes.charlm.settings import Settings
    from seqloss.recipes.charlm.task import CharlmTask

    return lambda data, **changes: CharlmTask(Settings(**{"data": data and str(data), **SMALL, **changes}))


@pytest.fixture(scope="session")
def train_charlm(charlm_task: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(charlm_task)
