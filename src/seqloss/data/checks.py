"""Check every row before training, so that all problems are reported at once: file, row and reason."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from seqloss.data.images import inspect_image, scaled_width
from seqloss.data.manifest import Row
from seqloss.data.vocabulary import Vocabulary, describe, frames_needed
from seqloss.errors import BadRow, DataError

SHOWN = 20


@dataclass(frozen=True)
class Item:
    """A row that can be used: `width` in pixels once scaled to the line height, `frames` of the network."""

    row: Row
    width: int
    frames: int


def check_rows(
    rows: Sequence[Row],
    bad: Sequence[BadRow] = (),
    *,
    vocabulary: Vocabulary | None,
    frames: Callable[[int], int],
    height: int,
    max_width: int = 8192,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Item], list[BadRow]]:
    """The rows that can be used, in order, and all that cannot: those of `bad` and those found here.

    Args:
        vocabulary: None where it is yet to be built from these rows.
        frames: width in pixels, after scaling, to the number of frames that the network gives.
        height: of the scaled line, in pixels.
        max_width: of the scaled line; a wider one would cost more memory than a batch is worth.
        progress: called with (rows looked at, all rows), from the calling thread.
    """
    items: list[Item] = []
    found = list(bad)

    def look(row: Row) -> Item | BadRow:
        return check_row(row, vocabulary, frames, height, max_width)

    with warnings.catch_warnings(), ThreadPoolExecutor(cpus()) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused in our own words
        for done, result in enumerate(pool.map(look, rows), 1):
            if isinstance(result, Item):
                items.append(result)
            else:
                found.append(result)
            if progress:
                progress(done, len(rows))
    return items, sorted(found, key=lambda row: (row.file, row.row or 0))


def check_row(
    row: Row, vocabulary: Vocabulary | None, frames: Callable[[int], int], height: int, max_width: int
) -> Item | BadRow:
    """One row's item, or everything that is wrong with it."""
    reasons: list[str] = []
    width = count = 0
    if vocabulary and (unknown := vocabulary.unknown(row.text)):
        reasons.append(f"not in the vocabulary: {', '.join(map(describe, unknown))}")
    try:
        size = inspect_image(row.path)
        width = scaled_width(*size, height)
        count = frames(width) if width <= max_width else 0
        reasons += misfit(row.text, size, (width, height), count, frames, max_width)
    except DataError as problem:
        reasons.append(str(problem))
    if reasons:
        short = (width, frames_needed(row.text)) if 0 < count < frames_needed(row.text) else None
        return BadRow(row.file, row.row, f"{row.name}: {'; '.join(reasons)}", short)
    return Item(row, width, count)


def misfit(
    text: str,
    size: tuple[int, int],
    scaled: tuple[int, int],
    count: int,
    frames: Callable[[int], int],
    max_width: int,
) -> list[str]:
    """Why the text does not fit the image's frames, or the image does not fit the width; else nothing."""
    image = f"image {size[0]} x {size[1]}, scaled to {scaled[0]} x {scaled[1]}"
    if scaled[0] > max_width:
        return [f"too wide: {image}, at most {max_width} wide; cut it into lines"]
    needed = frames_needed(text)
    if needed <= count:
        return []
    step = round(max_width / max(1, frames(max_width)))
    return [
        f"the text needs {needed} frames ({len(text)} labels + {needed - len(text)} adjacent repeats), has {count} "
        f"({image}, one frame per {step} pixels)"
    ]


def refuse(bad: Sequence[BadRow], note: str = "") -> DataError:
    """The error that lists all bad rows; its message has the first of them, and a note on all of them."""
    lines = [f"  {row.file}{f', line {row.row}' if row.row else ''}: {row.reason}" for row in bad[:SHOWN]]
    if len(bad) > SHOWN:
        lines.append(f"  and {len(bad) - SHOWN} more")
    if note:
        lines.append(note)
    count = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
    message = f"{count} cannot be used; fix or remove them, or skip them with --skip-bad:\n" + "\n".join(lines)
    return DataError(message, bad, note)


def cpus() -> int:
    """The processors that this process may use, at most 8: more only wait for the disk."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, allowed or 1)
