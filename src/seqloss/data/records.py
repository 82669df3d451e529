"""Parse the records of a data set: CSV, JSON Lines, or the file names of a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seqloss.data.paths import IMAGE_SUFFIXES
from seqloss.errors import DataError

NEEDED = ("path", "text")


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        line: where it begins, from 1; None in a folder.
        cells: values by column.
        problem: why it could not be parsed, or "".
    """

    line: int | None
    cells: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""


def csv_records(file: str, text: str) -> Iterator[Record]:
    """The records of a CSV text.

    Raises:
        DataError: the header lacks a column.
    """
    lines = csv_lines(text)
    header = next(lines, None)
    if header is None:
        raise DataError(f"{file}: empty; write a header line path,text and one line for each image.")
    columns = [str(name).strip() for name in header[1]]
    for name in NEEDED:
        if columns.count(name) != 1:
            count = "no column" if name not in columns else "more than one column"
            raise DataError(
                f"{file}: {count} named {name!r} in the header {','.join(columns)!r}; "
                "the first line must name the columns path,text (and split, if wanted), separated by commas."
            )
    return (csv_record(columns, *line) for line in lines)


def csv_lines(text: str) -> Iterator[tuple[int, list[str], str]]:
    """(line where it begins, cells, problem) of each entry that is not a blank line.

    An unclosed quotation mark would include all following lines. So after an invalid entry, parsing continues with the
    line after its first one.
    """
    lines = list(io.StringIO(text, newline=""))
    start = line = 0
    while start < len(lines):
        reader = csv.reader(lines[start:], strict=True)
        line = start
        try:
            for cells in reader:
                if cells:
                    yield line + 1, cells, ""
                line = start + reader.line_num
            return
        except csv.Error as error:
            yield line + 1, [], f"broken CSV ({error}); close each quotation mark, and double those inside a text"
            start = line + 1


def csv_record(columns: list[str], line: int, cells: list[str], problem: str) -> Record:
    if len(cells) > len(columns):
        problem = f"{len(cells)} cells under {len(columns)} columns; put texts with commas in quotation marks"
    return Record(line, dict(zip(columns, cells, strict=False)), problem)


def jsonl_records(text: str) -> Iterator[Record]:
    """The records of a JSON Lines text, without blank lines."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield jsonl_record(number, line)


def jsonl_record(number: int, line: str) -> Record:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Record(number, problem=f"broken JSON ({error}); write one object on each line")
    if not isinstance(cells, dict):
        return Record(number, problem='not a JSON object; write {"path": ..., "text": ...}')
    return Record(number, cells)


def folder_records(folder: Path) -> Iterator[Record]:
    """The images of a folder; the text is the name without suffix.

    Raises:
        DataError: there are none.
    """
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise DataError(
            f"{folder}: no manifest.csv, manifest.jsonl or image in it; write a manifest with the columns "
            "path,text or put images there that are named after their texts."
        )
    return (Record(None, {"path": path.name, "text": path.stem}) for path in images)
