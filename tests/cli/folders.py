"""Folders of ten images or recordings, for the tests of `seqloss doctor` and of the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from ..data.layouts.sound_trees import record

TEXTS = ["abba", "cab", "bad", "dada", "acab", "bcda", "dbac", "cbad", "adbc", "baba"]


def draw(path: Path, text: str, width: int = 60) -> None:
    image = Image.new("L", (width, 16), 255)
    ImageDraw.Draw(image).text((4, 2), text, fill=0)
    image.save(path)


def images(folder: Path, more: Sequence[str] = ()) -> Path:
    """Eight to train with, one to validate, one to test; and more lines of the manifest."""
    folder.mkdir()
    return _fill(folder, draw, "png", more)


def sounds(folder: Path, more: Sequence[str] = ()) -> Path:
    """The same of recordings."""
    return _fill(folder, record, "wav", more)


def _fill(folder: Path, make: Callable[[Path, str], None], suffix: str, more: Sequence[str]) -> Path:
    splits = [*["train"] * 8, "validation", "test"]
    lines = ["path,text,split"]
    for number, (text, split) in enumerate(zip(TEXTS, splits, strict=True)):
        make(folder / f"{number}.{suffix}", text)
        lines.append(f"{number}.{suffix},{text},{split}")
    (folder / "manifest.csv").write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return folder
