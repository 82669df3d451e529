"""Folders of ten images or recordings, for the tests of `seqloss doctor` and of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from ..data.layouts.sound_trees import record

TEXTS = ["abba", "cab", "bad", "dada", "acab", "bcda", "dbac", "cbad", "adbc", "baba"]


def draw(path: Path, text: str, width: int = 60) -> None:
    image = Image.new("L", (width, 16), 255)
    ImageDraw.Draw(image).text((4, 2), text, fill=0)
    image.save(path)


def images(folder: Path, more: Sequence[str] = ()) -> Path:
    """Eight to train with, one to validate, one to test."""
    folder.mkdir()
    splits = [*["train"] * 8, "validation", "test"]
    for number, text in enumerate(TEXTS):
        draw(folder / f"{number}.png", text)
    lines = [f"{number}.png,{text},{split}" for number, (text, split) in enumerate(zip(TEXTS, splits, strict=True))]
    (folder / "manifest.csv").write_text("\n".join(["path,text,split", *lines, *more]) + "\n", encoding="utf-8")
    return folder


def sounds(folder: Path, more: Sequence[str] = ()) -> Path:
    splits = [*["train"] * 8, "validation", "test"]
    for number, text in enumerate(TEXTS):
        record(folder / f"{number}.wav", text)
    lines = [f"{number}.wav,{text},{split}" for number, (text, split) in enumerate(zip(TEXTS, splits, strict=True))]
    (folder / "manifest.csv").write_text("\n".join(["path,text,split", *lines, *more]) + "\n", encoding="utf-8")
    return folder
