"""A dozen small images, and one OCR run that was trained on them, for the tests of training, report and recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TEXTS = [a + b for a in "ab1" for b in "ab1"] + ["ab", "b1", "a1"]


def write_data(folder: Path, rows: str = "") -> Path:
    """Twelve images of two letters, nine to train with, two to validate, one to test; and a manifest."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True)
    lines = ["path,text,split"]
    for number, text in enumerate(TEXTS):
        image = Image.new("L", (40, 16), 255)
        ImageDraw.Draw(image).text((4, 2), text, fill=0)
        image.save(folder / f"{number}.png")
        lines.append(f"{number}.png,{text},{'train' if number < 9 else 'validation' if number < 11 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


def write_words(folder: Path, rows: str = "") -> Path:
    """Six images named after their texts, four to train with, one to validate, one to test; and a manifest."""
    from PIL import Image, ImageDraw

    folder.mkdir()
    texts = ["ab", "ba", "aab", "abb", "bab", "aba"]
    for text in texts:
        image = Image.new("L", (40, 16), 255)
        ImageDraw.Draw(image).text((4, 2), text, fill=0)
        image.save(folder / f"{text}.png")
    splits = [*["train"] * 4, "validation", "test"]
    lines = ["path,text,split", *(f"{text}.png,{text},{split}" for text, split in zip(texts, splits, strict=True))]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


@pytest.fixture
def with_rows(tmp_path: Path) -> Callable[[str], Path]:
    return lambda rows: write_data(tmp_path / "data", rows)


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make a busy machine crawl."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def task_for(one_thread: None) -> Callable[..., Any]:
    """The OCR task for a data folder, with changed settings."""
    from seqloss.recipes.ocr.settings import Settings
    from seqloss.recipes.ocr.task import OcrTask

    return lambda data, **changes: OcrTask(
        Settings(**{"data": str(data), "epochs": 2, "batch": 4, "height": 16, **changes})
    )


@pytest.fixture(scope="session")
def train(task_for: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(task_for)


def make_train(task_for: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Train on a data folder, by the keyword arguments of the settings, of RunOptions, and `print_line`.

    Only a test that asks for it examines first, which takes longer than these trainings; it changes no weight, as
    `tests/recipes/examined_runs.py` tests for every recipe.
    """
    from dataclasses import fields

    from seqloss.training.engine import train
    from seqloss.training.settings import RunOptions

    def run(
        data: Path | None, folder: Path, print_line: Callable[[str], None] = lambda line: None, **given: Any
    ) -> dict[str, Any]:
        names = {field.name for field in fields(RunOptions)}
        options = RunOptions(
            **{"workers": 0, "examine": False, **{name: given.pop(name) for name in names & given.keys()}}
        )
        return train(task_for(data, **given), folder, options, print_line=print_line)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., Any]) -> tuple[Path, Path, list[str]]:
    """(data, run, lines that were printed) of two epochs; not to be written to."""
    home = tmp_path_factory.mktemp("trained")
    data, lines = write_data(home / "data"), []
    train(data, home / "run", print_line=lines.append, examine=True)
    return data, home / "run", lines
