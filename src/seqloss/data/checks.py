"""Check all rows before training, and report all invalid rows at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from seqloss.counts import format_count
from seqloss.data.images import inspect_image, scaled_width
from seqloss.data.line_heights import HEIGHTS
from seqloss.data.parallel_checks import check_in_threads
from seqloss.data.rows import Row
from seqloss.data.vocabulary import Vocabulary, describe_character, frames_needed
from seqloss.errors import BadRow, DataError

SHOWN = 20

ROTATE_HINT = "; if the text runs upwards or downwards, turn the images with --rotate 90 or --rotate 270"


@dataclass(frozen=True)
class Item:
    """A valid row.

    Attributes:
        row: image and text.
        width: of the scaled image, in pixels.
        frames: of the network for this image.
        target: the text in the order in which the image shows it, from left to right.

    Example:
        >>> from pathlib import Path
        >>> from seqloss.data import Item, Row
        >>> row = Row("labels.csv", 2, Path("a.png"), "ab", None, "a.png")
        >>> Item(row, width=64, frames=16, target="ab").row.text
        'ab'
    """

    row: Row
    width: int
    frames: int
    target: str


def check_rows(
    rows: Sequence[Row],
    bad: Sequence[BadRow] = (),
    *,
    vocabulary: Vocabulary | None,
    frames: Callable[[int], int],
    height: int,
    max_width: int = 8192,
    rotate: int = 0,
    to_target: Callable[[str], str] = str,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Item], list[BadRow]]:
    """Check that images can be read, fit their texts, and have known characters.

    Args:
        rows: to check.
        bad: invalid rows that are known already.
        vocabulary: of the model; None to accept all characters.
        frames: number of frames of the network for an image width in pixels.
        height: of scaled images, in pixels.
        max_width: of scaled images, in pixels.
        rotate: degrees clockwise by which images are turned.
        to_target: the order in which an image shows a text, such as `ReadingOrder.to_visual`; by default the text.
        progress: called with (rows checked, all rows), from the calling thread.

    Returns:
        the valid rows in order, and all invalid ones with their reasons, those of `bad` included.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from seqloss.data import Row, check_rows
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [Path(folder) / name for name in ("a.png", "b.png")]
        ...     Image.effect_noise((64, 32), 50).save(paths[0])
        ...     paths[1].touch()
        ...     rows = [Row("labels.csv", n, path, "ab", None, path.name) for n, path in enumerate(paths, 2)]
        ...     items, bad = check_rows(rows, vocabulary=None, frames=lambda width: width // 4, height=32)
        >>> [(item.row.name, item.frames) for item in items]
        [('a.png', 16)]
        >>> bad[0].reason
        'b.png: not an image that can be read, or one without pixels; expected PNG, JPEG, BMP, GIF, TIFF, WEBP, PPM'
    """

    def check(row: Row) -> Item | BadRow:
        return check_row(row, to_target(row.text), vocabulary, frames, height, max_width, rotate)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # reported as an error instead
        return check_in_threads(rows, bad, check, progress)


def check_row(
    row: Row,
    target: str,
    vocabulary: Vocabulary | None,
    frames: Callable[[int], int],
    height: int,
    max_width: int,
    rotate: int,
) -> Item | BadRow:
    """The item of a row, or the invalid row with all reasons."""
    reasons: list[str] = []
    width = count = 0
    if vocabulary and (unknown := vocabulary.unknown_characters(target)):
        reasons.append(f"not in the vocabulary: {', '.join(map(describe_character, unknown))}")
    try:
        size = inspect_image(row.path, rotate)
        width = scaled_width(*size, height)
        count = frames(width) if width <= max_width else 0
        reasons += describe_misfit(target, size, (width, height), count, frames, max_width)
    except DataError as problem:
        reasons.append(str(problem))
    if reasons:
        short = (width, frames_needed(target)) if 0 < count < frames_needed(target) else None
        return BadRow(row.file, row.row, f"{row.name}: {'; '.join(reasons)}", short)
    return Item(row, width, count, target)


def describe_misfit(
    text: str,
    size: tuple[int, int],
    scaled: tuple[int, int],
    count: int,
    frames: Callable[[int], int],
    max_width: int,
) -> list[str]:
    """The reason why the text does not fit the frames, or the image is too wide; an empty list if both fit."""
    image = f"image {size[0]} x {size[1]}, scaled to {scaled[0]} x {scaled[1]}"
    if scaled[0] > max_width:
        return [f"too wide: {image}, at most {max_width} wide; cut it into lines"]
    needed = frames_needed(text)
    if needed <= count:
        return []
    step = round(max_width / max(1, frames(max_width)))
    enough = (height for height in HEIGHTS if height > scaled[1] and frames(scaled_width(*size, height)) >= needed)
    higher = next(enough, None)
    return [
        f"the text needs {format_count(needed, 'frame')} ({format_count(len(text), 'label')} + "
        f"{format_count(needed - len(text), 'adjacent repeat')}), has {count} ({image}, one frame per {step} pixels)"
        f"{f'; it would fit with --height {higher}' if higher else ''}"
        f"{ROTATE_HINT if size[1] > size[0] else ''}"
    ]


def describe_tall_images(items: Sequence[Item], height: int) -> Iterator[str]:
    """A line on images that are more than twice as high as wide, with texts of more than two characters.

    Args:
        items: valid rows.
        height: of scaled images, in pixels.
    """
    tall = [item for item in items if 2 * item.width < height and len(item.target) > 2]
    if tall:
        names = f"such as {tall[0].row.name}, {tall[0].row.text!r}"
        verb = "is" if len(tall) == 1 else "are"
        yield f"images: {len(tall)} of {len(items)} {verb} more than twice as high as wide ({names}){ROTATE_HINT}"


def make_rows_error(bad: Sequence[BadRow], note: str = "", *, skippable: bool = True) -> DataError:
    """Make the error for invalid rows.

    Args:
        bad: the invalid rows.
        note: a line about all of them.
        skippable: the command has --skip-bad.

    Returns:
        a `DataError` with all rows; its message lists the first 20.

    Example:
        >>> from seqloss.data import make_rows_error
        >>> from seqloss.errors import BadRow
        >>> print(make_rows_error([BadRow("labels.csv", 3, "c.png: the text is empty")]))
        1 row cannot be used; fix or remove them, or skip them with --skip-bad:
          labels.csv, line 3: c.png: the text is empty
    """
    lines = [f"  {row.file}{f', line {row.row}' if row.row else ''}: {row.reason}" for row in bad[:SHOWN]]
    if len(bad) > SHOWN:
        lines.append(f"  and {len(bad) - SHOWN} more")
    if note:
        lines.append(note)
    advice = "fix or remove them" + ", or skip them with --skip-bad" * skippable
    message = f"{format_count(len(bad), 'row')} cannot be used; {advice}:\n" + "\n".join(lines)
    return DataError(message, bad, note)
