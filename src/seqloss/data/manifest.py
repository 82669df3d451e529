"""Rows of a data set, read from a manifest or from a folder of images that are named after their texts.

What concerns the whole source is a `DataError`; what concerns one row is a `BadRow`, and reading goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seqloss.data.paths import inside, shown
from seqloss.data.records import Record, csv_records, folder_records, jsonl_records
from seqloss.data.vocabulary import normalize
from seqloss.errors import BadRow, DataError

MANIFESTS = ("manifest.csv", "manifest.jsonl")


@dataclass(frozen=True)
class Row:
    """One image and its text.

    `file` is the manifest or folder as shown to the person, `row` the line in it as an editor counts; `path`
    is absolute, `name` the same path below the data folder, with forward slashes; `text` is NFC.
    """

    file: str
    row: int | None
    path: Path
    text: str
    split: str | None
    name: str


def read_rows(source: Path) -> tuple[list[Row], list[BadRow]]:
    """The rows of a manifest, of a folder that holds one, or of a folder of images; and the unusable ones.

    Args:
        source: a `.csv` or `.jsonl` file, a folder with `manifest.csv` or `.jsonl`, or one of images.

    Raises:
        DataError: nothing there, no needed columns, not UTF-8, no row at all.
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
            row = BadRow(row.file, row.row, f"{row.name}: the same image as {place(first[row.path])}")
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            first[row.path] = row
            rows.append(row)
    if not rows and not bad:
        raise DataError(f"{manifest}: no row in it; add one line for each image.")
    return rows, bad


def find_manifest(source: Path) -> Path | None:
    """The manifest that the source is or holds; None for a folder of images."""
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; give the folder that holds the images.")
    if source.is_file():
        if source.suffix.lower() not in (".csv", ".jsonl"):
            raise DataError(f"{source}: expected a folder, a .csv or a .jsonl file; give one of these.")
        return source
    found = [inside(source, name) for name in MANIFESTS if (source / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{source}: holds manifest.csv and manifest.jsonl; name the one to read.")
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
    """The row of one record, or what is wrong with it."""
    try:
        if record.problem:
            raise DataError(record.problem)
        path = inside(folder, cell(record, "path"))
        text = normalize(cell(record, "text"))
    except DataError as problem:
        return BadRow(file, record.line, str(problem))
    name = shown(Path(os.path.relpath(path, folder.resolve())).as_posix())
    if not text.strip():
        return BadRow(file, record.line, f"{name}: the text is empty")
    if shown(text) != text:
        return BadRow(file, record.line, f"{name}: the text {shown(text)!r} is no Unicode (half a surrogate pair)")
    split = record.cells.get("split")
    if split is not None and not isinstance(split, str):
        return BadRow(file, record.line, f"{name}: split is {split!r}, not a string")
    return Row(file, record.line, path, text, split, name)


def cell(record: Record, key: str) -> str:
    """A cell that must be there and be a string."""
    value = record.cells.get(key)
    if value is None:
        raise DataError(f"{key} is missing")
    if not isinstance(value, str):
        raise DataError(f"{key} is {value!r}, not a string; put it in quotation marks")
    if key == "path" and not value.strip():
        raise DataError("path is empty")
    return value


def place(row: Row) -> str:
    """Where a row stands, for the message of another."""
    return f"line {row.row}" if row.row is not None else row.name
