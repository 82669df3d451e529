"""Read the rows of a data set, from a manifest or from a folder of images whose names are their texts.

An error of the whole source is a `DataError`. An invalid row is a `BadRow`, and reading continues.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seqloss.data.paths import escape_undecodable, resolve_inside
from seqloss.data.records import Record, csv_records, folder_records, jsonl_records
from seqloss.data.vocabulary import normalize_text
from seqloss.errors import BadRow, DataError

MANIFESTS = ("manifest.csv", "manifest.jsonl")


@dataclass(frozen=True)
class Row:
    """An image and its text.

    Attributes:
        file: the manifest or folder, for messages.
        row: the line in the manifest, from 1; None for a folder.
        path: of the image, absolute.
        text: in Unicode normal form C.
        split: the cell of the column `split`, or None.
        name: the path below the data folder, with forward slashes.
    """

    file: str
    row: int | None
    path: Path
    text: str
    split: str | None
    name: str


def read_rows(source: Path) -> tuple[list[Row], list[BadRow]]:
    """Read the rows of a data set.

    Args:
        source: a `.csv` or `.jsonl` file, a folder with `manifest.csv` or `manifest.jsonl`, or a folder of images.

    Returns:
        the valid rows, and the invalid ones with their reasons.

    Raises:
        DataError: the source does not exist, is not UTF-8, lacks a column, or has no rows.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "manifest.csv").write_text("path,text\\n1.png,one\\n2.png,\\n")
        ...     rows, bad = read_rows(Path(folder))
        >>> [(row.name, row.text) for row in rows], [row.reason for row in bad]
        ([('1.png', 'one')], ['2.png: the text is empty'])
    """
    manifest = find_manifest(source)
    folder = manifest.parent if manifest else source
    records = read_manifest(manifest) if manifest else folder_records(source)
    rows: list[Row] = []
    bad: list[BadRow] = []
    first: dict[Path, Row] = {}
    for record in records:
        row = make_row(str(manifest or source), folder, record)
        if isinstance(row, Row) and row.path in first:
            row = BadRow(row.file, row.row, f"{row.name}: the same image as {describe_location(first[row.path])}")
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            first[row.path] = row
            rows.append(row)
    if not rows and not bad:
        raise DataError(f"{manifest}: it has no rows; add one line for each image.")
    return rows, bad


def find_manifest(source: Path) -> Path | None:
    """The manifest: the source itself, or a file in it; None for a folder of images."""
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; give the folder that holds the images.")
    if source.is_file():
        if source.suffix.lower() not in (".csv", ".jsonl"):
            raise DataError(f"{source}: expected a folder, a .csv or a .jsonl file; give one of these.")
        return source
    found = [resolve_inside(source, name) for name in MANIFESTS if (source / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{source}: has manifest.csv and manifest.jsonl; pass the one to read.")
    return found[0] if found else None


def read_manifest(manifest: Path) -> Iterator[Record]:
    """The records of a CSV or JSONL file in UTF-8, with or without a byte order mark."""
    try:
        text = manifest.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{manifest}: cannot be read ({error.strerror}); check its permissions.") from error
    except UnicodeDecodeError as error:
        before, byte = error.object[: error.start], error.object[error.start]
        where = f"byte 0x{byte:02X} in line {before.count(10) + 1}"
        raise DataError(f"{manifest}: not UTF-8 ({where}); save it again as UTF-8.") from error
    if manifest.suffix.lower() == ".csv":
        return csv_records(str(manifest), text)
    return jsonl_records(text)


def make_row(file: str, folder: Path, record: Record) -> Row | BadRow:
    """The row of a record, or the invalid row with its reason."""
    try:
        if record.problem:
            raise DataError(record.problem)
        path = resolve_inside(folder, require_cell(record, "path"))
        text = normalize_text(require_cell(record, "text"))
    except DataError as problem:
        return BadRow(file, record.line, str(problem))
    name = escape_undecodable(Path(os.path.relpath(path, folder.resolve())).as_posix())
    if not text.strip():
        return BadRow(file, record.line, f"{name}: the text is empty")
    if escape_undecodable(text) != text:
        return BadRow(
            file, record.line, f"{name}: the text {escape_undecodable(text)!r} is not Unicode (lone surrogate)"
        )
    split = record.cells.get("split")
    if split is not None and not isinstance(split, str):
        return BadRow(file, record.line, f"{name}: split is {split!r}, not a string")
    return Row(file, record.line, path, text, split, name)


def require_cell(record: Record, key: str) -> str:
    """The value of a cell, which must exist and be a string."""
    value = record.cells.get(key)
    if value is None:
        raise DataError(f"{key} is missing")
    if not isinstance(value, str):
        raise DataError(f"{key} is {value!r}, not a string; put it in quotation marks")
    if key == "path" and not value.strip():
        raise DataError("path is empty")
    return value


def describe_location(row: Row) -> str:
    """The line or name of a row, for messages about another row."""
    return f"line {row.row}" if row.row is not None else row.name
