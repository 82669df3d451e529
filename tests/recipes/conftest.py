"""A dozen small pictures, and one run that was trained on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from seqloss.recipes import ocr

TEXTS = [a + b for a in "ab1" for b in "ab1"] + ["ab", "b1", "a1"]


def write_data(folder: Path, rows: str = "") -> Path:
    """Twelve pictures of two letters, nine to train with, two to validate, one to test; and a manifest."""
    folder.mkdir(parents=True)
    lines = ["path,text,split"]
    for number, text in enumerate(TEXTS):
        picture = Image.new("L", (40, 16), 255)
        ImageDraw.Draw(picture).text((4, 2), text, fill=0)
        picture.save(folder / f"{number}.png")
        lines.append(f"{number}.png,{text},{'train' if number < 9 else 'validation' if number < 11 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


@pytest.fixture
def with_rows(tmp_path: Path) -> Callable[[str], Path]:
    return lambda rows: write_data(tmp_path / "data", rows)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def settings_of(data: Path, **changes: Any) -> ocr.Settings:
    return ocr.Settings(**{"data": str(data), "epochs": 2, "batch": 4, "height": 16, **changes})


@pytest.fixture(scope="session")
def settings_for() -> Callable[..., ocr.Settings]:
    return settings_of


@pytest.fixture(scope="session")
def train() -> Callable[..., dict[str, Any]]:
    """Train on a data folder, by the keyword arguments of Settings and of train."""

    def run(data: Path, folder: Path, **options: Any) -> dict[str, Any]:
        own = ("fresh", "skip_bad", "workers", "say", "trainer")
        passed = {"workers": 0, "say": lambda line: None, **{k: options.pop(k) for k in own if k in options}}
        return ocr.train(settings_of(data, **options), folder, **passed)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., Any]) -> tuple[Path, Path, list[str]]:
    """(data, run, lines that were said) of two epochs; not to be written to."""
    home = tmp_path_factory.mktemp("trained")
    data, lines = write_data(home / "data"), []
    train(data, home / "run", say=lines.append)
    return data, home / "run", lines
