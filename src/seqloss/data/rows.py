"""Read the rows of a data set: its images or sounds and their texts, in any of the layouts.

An error of the whole source is a `DataError`. An invalid row is a `BadRow`, and reading continues.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from seqloss.counts import format_count
from seqloss.data.folder import SPLITS, Folder, open_folder
from seqloss.data.item_names import ItemNames
from seqloss.data.layouts.choice import choose_layout
from seqloss.data.layouts.layout import Record
from seqloss.data.paths import IMAGES, ItemKind, escape_undecodable, resolve_inside
from seqloss.errors import BadRow, DataError


@dataclass(frozen=True)
class Row:
    """An image or sound and its text.

    Attributes:
        file: of the text, or the folder, for messages.
        row: the line in that file, from 1; None if it has none.
        path: of the image or sound, absolute.
        text: as it is written; `clean_rows` strips and normalises it.
        split: the split, or None.
        name: the path below the folder of images, with forward slashes.

    Example:
        >>> from pathlib import Path
        >>> from seqloss.data import Row
        >>> Row("labels.csv", 2, Path("images/a.png"), "one", "train", "a.png").split
        'train'
    """

    file: str
    row: int | None
    path: Path
    text: str
    split: str | None
    name: str


class Rows(NamedTuple):
    """The valid rows of a data set, the invalid ones, and how it was read.

    Attributes:
        rows: the valid rows.
        bad: the invalid rows, each with its reason.
        lines: how the data set was read, to be printed.

    Example:
        >>> from pathlib import Path
        >>> from seqloss.data import Row, Rows
        >>> found = Rows([Row("labels.csv", 2, Path("a.png"), "one", None, "a.png")], [], ["texts: labels.csv"])
        >>> rows, bad, lines = found
        >>> rows[0].text, bad
        ('one', [])
    """

    rows: list[Row]
    bad: list[BadRow]
    lines: list[str]


def read_rows(
    source: Path,
    *,
    layout: str | None = None,
    images: Path | None = None,
    follow_links: bool = False,
    kind: ItemKind = IMAGES,
    phones: bool = False,
    column: str | None = None,
) -> Rows:
    """Read the rows of a data set.

    Args:
        source: a folder in one of the layouts (`seqloss.data.layouts`), or the file with its texts.
        layout: the name of its layout; None to recognise it.
        images: the folder that the names of images are below, if it is not that of the texts.
        follow_links: also read folders and files behind links that lead out of the folder.
        kind: `IMAGES`, or `SOUNDS`.
        phones: read phones, separated by spaces, where the layout has them.
        column: of a table, read in place of texts, for example labels.

    Returns:
        the valid rows, the invalid ones with their reasons, and lines that say how the folder was read.

    Raises:
        DataError: the source does not exist, is not UTF-8, lacks a column, or has no rows; no layout fits, or two do.
        OptionError: there is no layout of that name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("1.png", "2.png"):
        ...         (Path(folder) / name).touch()
        ...     _ = (Path(folder) / "labels.csv").write_text("filename,words\\n1.png,one\\n2.png,\\n")
        ...     found = read_rows(Path(folder))
        >>> [(row.name, row.text) for row in found.rows], [row.reason for row in found.bad]
        ([('1.png', 'one')], ['2.png: the text is empty'])
        >>> found.lines
        ['texts: labels.csv, columns filename and words']
    """
    folder = open_folder(source, images=images, kind=kind, follow_links=follow_links, phones=phones, column=column)
    chosen, files = choose_layout(folder, layout)
    reading = chosen.read(folder, files)
    records, names = list(reading.records), ItemNames(folder)
    rows, bad = _make_rows(folder, records, names)
    if not records:
        raise DataError(f"{folder.describe()}: it has no rows; add one line for each {kind.name}.")
    if not any(row.path.exists() for row in rows):
        names.refuse_if_none_exists([one.path for one in records if isinstance(one.path, str) and not one.problem])
    rows, split_line = split_by_folders(rows)
    texts = f"texts are {reading.texts}" if chosen.in_names else f"texts: {reading.texts}"
    lines = [texts, *reading.notes, *names.notes()]
    return Rows(rows, bad, [*lines, *split_line, *_describe_unread(folder, rows, bad, reading.left_out)])


def _make_rows(folder: Folder, records: Sequence[Record], names: ItemNames) -> tuple[list[Row], list[BadRow]]:
    """The valid rows of records, of each image or sound the first; and the others with their reasons."""
    first: dict[Path, Row] = {}
    bad: list[BadRow] = []
    for record in records:
        row = make_row(folder, record, names)
        if isinstance(row, BadRow):
            bad.append(row)
        elif row.path in first:
            other = describe_location(first[row.path], row.file)
            bad.append(BadRow(row.file, row.row, f"{row.name}: the same {folder.item} as {other}"))
        else:
            first[row.path] = row
    return list(first.values()), bad


def make_row(folder: Folder, record: Record, names: ItemNames) -> Row | BadRow:
    """The row of a record, or the invalid row with its reason."""
    file = str(folder.root / record.file) if record.file else str(folder.root)
    try:
        if record.problem:
            raise DataError(record.problem)
        given = _require_string(record.path, record.names[0])
        if not given.strip():
            raise DataError(f"{record.names[0]} is empty")
        path = resolve_inside(folder.images, names.find(given), follow_links=folder.follow_links)
        text = _require_string(record.text, record.names[1])
    except DataError as problem:
        return BadRow(file, record.line, str(problem))
    name = _name_below(folder.images, path, given)
    if not text.strip():
        return BadRow(file, record.line, f"{name}: the text is empty")
    if escape_undecodable(text) != text:
        return BadRow(
            file, record.line, f"{name}: the text {escape_undecodable(text)!r} is not Unicode (lone surrogate)"
        )
    if record.split is not None and not isinstance(record.split, str):
        return BadRow(file, record.line, f"{name}: split is {record.split!r}, not a string")
    return Row(file, record.line, path, text, record.split, name)


def _name_below(images: Path, path: Path, given: str) -> str:
    """The path below the folder of images; of a file behind a link out of it, the path of the link."""
    home = images.resolve()
    name = os.path.relpath(path, home) if path.is_relative_to(home) else os.path.normpath(given)
    return escape_undecodable(Path(name).as_posix())


def _require_string(value: object, column: str) -> str:
    """The value of a cell, which must exist and be a string."""
    column = f"column {column}" if column.isdecimal() else column  # of a table without a header
    if value is None:
        raise DataError(f"{column} is missing")
    if not isinstance(value, str):
        raise DataError(f"{column} is {value!r}, not a string; put it in quotation marks")
    return value


def split_by_folders(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Rows with the split that their folder is named after, if there is no other and every row is in such a folder."""
    parts = [row.name.partition("/")[0] if "/" in row.name else "" for row in rows]
    found = {SPLITS.get(part.lower()) for part in parts}
    if any(row.split for row in rows) or None in found or "train" not in found or len(found) < 2:
        return list(rows), []
    counts = Counter(parts)
    line = f"splits: the folders {', '.join(f'{part} ({count})' for part, count in counts.items())}"
    return [replace(row, split=SPLITS[part.lower()]) for row, part in zip(rows, parts, strict=True)], [line]


def _describe_unread(folder: Folder, rows: Sequence[Row], bad: Sequence[BadRow], left_out: frozenset[str]) -> list[str]:
    """What is in the folder but not in the rows."""
    lines = []
    if folder.linked_folders:
        shown = folder.linked_folders[0]
        lines.append(
            f"not read: {format_count(len(folder.linked_folders), 'link')} to folders, such as {shown}; --follow-links "
            "reads them"
        )
    if bad:
        return lines
    named = {row.name for row in rows} | left_out
    left = [name for name in folder.items if name not in named]
    if left:
        lines.append(f"not used: {format_count(len(left), folder.item)} without a text, such as {left[0]}")
    return lines


def describe_location(row: Row, file: str) -> str:
    """The line or name of a row, for messages about another row, of a file."""
    if row.row is None:
        return row.name
    return f"line {row.row}" if row.file == file else f"line {row.row} of {row.file}"
