"""`pairs`: beside each image N.png a file N.gt.txt or N.txt with its text, as kraken and tesstrain have them.

Sources: https://kraken.re/ (training), https://github.com/tesseract-ocr/tesstrain
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record, unreadable
from seqloss.data.layouts.timit import find_timit
from seqloss.data.tables import read_text
from seqloss.errors import DataError

SUFFIXES = (".gt.txt", ".txt")


def find_pairs(folder: Folder) -> list[str]:
    """The texts beside images: those named N.gt.txt, else those named N.txt."""
    if folder.file is not None or find_timit(folder):
        return []
    files = frozenset(folder.files)
    for suffix in SUFFIXES:
        found = {text for item in folder.items if (text := text_beside(item, suffix, files))}
        if found:
            return sorted(found)
    return []


def text_beside(item: str, suffix: str, files: frozenset[str]) -> str | None:
    """The file with the text of an image. OCRopus' N.bin.png and N.nrm.png belong to N.gt.txt."""
    stem = PurePosixPath(item).with_suffix("")
    stems = [str(stem)]
    if stem.suffix.lower() in (".bin", ".nrm"):
        stems.append(str(stem.with_suffix("")))
    written = (name + case for name in stems for case in (suffix, suffix.upper()))
    return next((name for name in written if name in files), None)


def read_pairs(folder: Folder, texts: Sequence[str]) -> Reading:
    suffix = ".gt.txt" if texts[0].lower().endswith(".gt.txt") else ".txt"
    shown = PurePosixPath(texts[0]).name
    return Reading(_read_pairs(folder, suffix), f"files *{suffix} beside the {folder.item}s, such as {shown}")


def _read_pairs(folder: Folder, suffix: str) -> Iterator[Record]:
    files = frozenset(folder.files)
    used: set[str] = set()
    for item in folder.items:
        text = text_beside(item, suffix, files)
        if text is None:
            stem = PurePosixPath(item).with_suffix("").name
            yield Record(item, problem=f"no text beside it; write {stem}{suffix}, or remove the {folder.item}")
            continue
        used.add(text)
        try:
            content = read_text(folder.text_path(text))
        except DataError as problem:
            yield unreadable(folder, text, problem)
            continue
        yield Record(text, path=item, text=content.removesuffix("\n").removesuffix("\r"))
    if suffix == ".gt.txt":
        for text in folder.files:
            if text.lower().endswith(suffix) and text not in used:
                yield Record(text, problem=f"no {folder.item} beside it; put it there, or remove the text")


LAYOUT = Layout("pairs", "N.gt.txt or N.txt beside each image N.png", find_pairs, read_pairs, beside=True)
