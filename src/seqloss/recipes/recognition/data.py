"""Folders of items with texts: their rows and splits, and which of the texts fit their frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from seqloss.data.checks import make_rows_error
from seqloss.data.rows import Row, read_rows
from seqloss.data.splits import Splits
from seqloss.data.text_notes import clean_rows
from seqloss.data.vocabulary import frames_needed
from seqloss.data.words import SPLITS
from seqloss.doctor.sanity_checks import describe_feasibility
from seqloss.errors import BadRow, DataError
from seqloss.recipes.recognition.settings import FolderSettings
from seqloss.training.batches import Source
from seqloss.training.task import PrintLine


class HasRow(Protocol):
    """An item that passed the checks of its row."""

    @property
    def row(self) -> Row: ...


Valid = TypeVar("Valid", bound=HasRow)


class TextSource(Source):
    """Items that are pairs of an input and its text."""

    def texts_and_lengths(self) -> Sequence[tuple[str, int]]:
        """(text, input length) of each item, where they are known without reading the inputs; else nothing.

        The texts are in the order in which the inputs show them.
        """
        return ()


def read_folder(
    settings: FolderSettings, print_line: PrintLine, *, normalization: str = "NFC", phones: bool = False
) -> tuple[list[Row], list[BadRow]]:
    """The rows of the settings' folder with clean texts, and those that are invalid so far.

    Args:
        settings: with `data`.
        print_line: called with each line that says how the folder was read.
        normalization: Unicode normal form of the texts.
        phones: read phones in place of texts.

    Raises:
        DataError: the folder cannot be read, or has no valid row.
    """
    folder = Path(settings.items_folder) if settings.items_folder else None
    rows, bad, lines = read_rows(
        Path(settings.data or ""), layout=settings.layout, images=folder, follow_links=settings.follow_links,
        kind=settings.kind, phones=phones,
    )  # fmt: skip
    rows, unclear, notes = clean_rows(rows, normalization)
    for line in [*lines, *notes.lines()]:
        print_line(line)
    if not rows:
        raise make_rows_error([*bad, *unclear])
    return rows, [*bad, *unclear]


def items_of_splits(splits: Splits, items: Sequence[Valid], bad: Sequence[BadRow]) -> dict[str, list[Valid]]:
    """The valid items of each split that has any.

    Raises:
        DataError: none is left to train with.
    """
    by_path = {item.row.path: item for item in items}
    found = {name: [by_path[row.path] for row in getattr(splits, name) if row.path in by_path] for name in SPLITS}
    if not found["train"]:
        raise DataError("no row is left to train with; fix some of these.", bad)
    return {name: kept for name, kept in found.items() if kept}


def digest_of(rows: Iterable[Row]) -> str:
    """A hash of names, texts, splits and the files themselves: other data would end in other weights."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.name, row.text, row.split]).encode())
        digest.update(hashlib.sha256(row.path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def describe_short_rows(
    rows: Sequence[tuple[Sequence[str], int]], bad: Sequence[BadRow], stride: int, steps: str = "pixels"
) -> str:
    """How many texts need more frames than their inputs give, and at which subsampling they would fit; "" for none.

    Args:
        rows: (symbols of the text, input length) of each valid row.
        bad: the invalid rows.
        stride: input steps per frame.
        steps: what the input's steps are called.
    """
    short = [row.short for row in bad if row.short]
    needed = [(length, frames_needed(text)) for text, length in rows]
    return describe_feasibility([*needed, *short], stride, steps) if short else ""
