"""The rows of a data folder by split, read as a training reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqloss.counts import format_count
from seqloss.data.folder import open_folder
from seqloss.data.paths import IMAGES, SOUNDS, ItemKind
from seqloss.data.reading_order import ReadingOrder
from seqloss.data.rows import Row, read_rows
from seqloss.data.splits import Splits, split_rows
from seqloss.data.text_notes import TextNotes, clean_rows
from seqloss.data.vocabulary import Vocabulary
from seqloss.errors import BadRow, DataError, OptionError

Progress = Callable[[int, int], None]
"""Called with (rows done, all rows) of each pass over the files."""

SHOWN = 5
"""Examples in the evidence of a finding."""

VISUAL = ReadingOrder("visual")
"""Leaves texts as they are."""


@dataclass(frozen=True)
class FolderOptions:
    """How a folder is read, and what a training would make of it.

    Attributes:
        layout: its name; None to recognise it.
        images: the folder of the images, if it is not that of the texts.
        audio: the folder of the recordings, if it is not that of the texts.
        follow_links: read files behind links that lead out of the folder.
        held_out: another folder, whose rows are all held out.
        vocabulary: of the model.
        units: characters, words or phones.
        height: in pixels, that images are scaled to.
        rate: in Hz, that recordings are converted to.
        subsampling: pixels, or feature frames, for each frame of the network.
        rotate: degrees clockwise by which images are turned.
        normalize: Unicode normal form in which the texts of images are trained: NFC, NFKC or none.
        direction: base direction of the texts of images, as of a `ReadingOrder`.
    """

    layout: str | None = None
    images: Path | None = None
    audio: Path | None = None
    follow_links: bool = False
    held_out: Path | None = None
    vocabulary: Vocabulary | None = None
    units: str = "characters"
    height: int = 32
    rate: int = 16_000
    subsampling: int = 4
    rotate: int = 0
    normalize: str = "NFC"
    direction: str = "auto"

    def refuse_options_of_images(self) -> None:
        """Raise an `OptionError` for an option that recordings do not have."""
        for name in ("rotate", "normalize", "direction"):
            if getattr(self, name) != getattr(FolderOptions, name):
                raise OptionError(f"--{name}: is for images, found recordings; leave it out.")


@dataclass(frozen=True)
class Contents:
    """A folder that was read.

    Attributes:
        kind: images or sounds.
        splits: its rows, their texts as they are written.
        bad: rows that cannot be used, so far.
        lines: how it was read.
        notes: on the texts.
        order: of the texts in images; recordings have them as they are written.
    """

    kind: ItemKind
    splits: Splits
    bad: list[BadRow]
    lines: list[str]
    notes: TextNotes = field(default_factory=TextNotes)
    order: ReadingOrder = VISUAL

    @property
    def held_out(self) -> list[Row]:
        return [*self.splits.validation, *self.splits.test]

    @property
    def rows(self) -> list[Row]:
        return [*self.splits.train, *self.held_out]


def read_contents(source: Path, options: FolderOptions) -> Contents:
    """Read a folder, and the held-out one beside it.

    Raises:
        DataError: it has no rows, or none to train with; it holds both images and sounds.
        OptionError: recordings are given an option of images.
    """
    kind = _kind_of(source, options)
    if kind is SOUNDS:
        options.refuse_options_of_images()
    rows, bad, lines, notes = _read(source, kind, options)
    if options.held_out is None:
        splits, strays = split_rows(rows)
        return Contents(kind, splits, [*bad, *strays], lines, notes, _order_of(splits, kind, options))
    others, worse, more, _ = _read(options.held_out, kind, options)
    own, strays = split_rows(rows) if any(row.split for row in rows) else (Splits(train=rows), [])
    splits = Splits(own.train, own.validation, [*own.test, *others])
    bad = [*bad, *strays, *worse]
    return Contents(kind, splits, bad, [*lines, *more], notes, _order_of(splits, kind, options))


def _read(source: Path, kind: ItemKind, options: FolderOptions) -> tuple[list[Row], list[BadRow], list[str], TextNotes]:
    items = options.images if kind is IMAGES else options.audio
    rows, bad, lines = read_rows(
        source, layout=options.layout, images=items, follow_links=options.follow_links, kind=kind,
        phones=options.units == "phones",
    )  # fmt: skip
    clean, unclear, notes = clean_rows(rows, "none")
    return clean, [*bad, *unclear], lines, notes


def _order_of(splits: Splits, kind: ItemKind, options: FolderOptions) -> ReadingOrder:
    return ReadingOrder.from_texts([row.text for row in splits.train], options.direction) if kind is IMAGES else VISUAL


def _kind_of(source: Path, options: FolderOptions) -> ItemKind:
    """Images or sounds: what an option names, else what the folder holds."""
    if options.images or options.audio:
        return IMAGES if options.images else SOUNDS
    counts = [len(open_folder(source, kind=kind, follow_links=options.follow_links).items) for kind in (IMAGES, SOUNDS)]
    if not any(counts):
        raise DataError(f"{source}: no images and no recordings in it; give their folder with --images or --audio.")
    if all(counts):
        raise DataError(
            f"{source}: {format_count(counts[0], 'image')} and {format_count(counts[1], 'recording')}; name the folder "
            "of one with --images or --audio."
        )
    return IMAGES if counts[0] else SOUNDS


def describe_splits(contents: Contents) -> str:
    """How many rows there are of each split."""
    splits: Sequence[tuple[str, list[Row]]] = [
        ("training", contents.splits.train), ("validation", contents.splits.validation), ("test", contents.splits.test)
    ]  # fmt: skip
    shown = ", ".join(f"{len(rows)} {name}" for name, rows in splits if rows)
    return f"rows: {shown}" if shown else "rows: none can be read"
