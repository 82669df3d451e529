"""Records of files of texts: what the layouts `manifest`, `labels` and `metadata` share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.columns import Columns, find_columns, find_columns_without_header
from seqloss.data.folder import SPLITS, Folder
from seqloss.data.layouts.layout import Reading, Record
from seqloss.data.tables import (
    SEPARATORS,
    Line,
    declared_separator,
    guess_separator,
    numbered_lines,
    read_csv,
    read_jsonl,
    read_names_and_texts,
    read_text,
    read_tsv,
    unquote,
)  # fmt: skip
from seqloss.errors import DataError


def read_tables(folder: Folder, files: Sequence[str]) -> Reading:
    """The records of one file, or of the files of several splits.

    Raises:
        DataError: a file has no rows or lacks a column; or the files are not those of different splits.
    """
    splits = [split_of_file(file) for file in files]
    if len(files) > 1 and (None in splits or len(set(splits)) < len(files)):
        raise DataError(
            f"{folder.root}: has {' and '.join(files)}; pass the one to read, as --data {folder.root / files[0]}."
        )
    parts = [_read_table(folder, file, split) for file, split in zip(files, splits, strict=True)]
    described = ", ".join(dict.fromkeys(columns for _, columns in parts))
    return Reading(itertools.chain(*(records for records, _ in parts)), f"{' and '.join(files)}, {described}")


def split_of_file(file: str) -> str | None:
    """The split that a word of a file's name stands for, else its folder."""
    path = PurePosixPath(file)
    words = [*path.parts[:-1], *path.stem.replace("-", "_").split("_")]
    return next((word for word in reversed(words) if word.lower() in SPLITS), None)


def _read_table(folder: Folder, file: str, split: str | None) -> tuple[list[Record], str]:
    shown, text = str(folder.root / file), read_text(folder.text_path(file))
    suffix = PurePosixPath(file).suffix.lower()
    if suffix in (".json", ".jsonl"):
        lines, columns = _find_json_columns(shown, text, folder)
    elif suffix == ".txt":
        lines, columns = _find_columns_of_lines(shown, text, folder)
    else:
        lines, columns = _find_csv_columns(shown, text, folder, tabs=suffix == ".tsv")
    where = PurePosixPath(file).parent
    records = [_make_record(file, where, line, columns, split) for line in lines]
    if not records:
        raise DataError(f"{shown}: it has no rows; add one line for each {folder.item}.")
    return records, str(columns)


def _make_record(file: str, where: PurePosixPath, line: Line, columns: Columns, split: str | None) -> Record:
    if line.problem:
        return Record(file, line.number, problem=line.problem)
    cells: dict[object, object] = dict(zip(line.keys or range(len(line.cells)), line.cells, strict=True))
    keys: Sequence[object] = (line.keys and [*columns.names, "split"]) or columns[:3]
    path, text, own = (None if key is None else cells.get(key) for key in keys)
    if isinstance(path, str):
        path = path.strip()
        if path and str(where) != ".":
            path = str(where / path)
    return Record(file, line.number, path, text, own if own is not None else split, names=columns.names)


def _find_csv_columns(shown: str, text: str, folder: Folder, *, tabs: bool) -> tuple[Iterator[Line], Columns]:
    _, first = next(numbered_lines(text), (0, ""))
    declared = None if tabs else declared_separator(text)
    separator = "\t" if tabs else declared or guess_separator(first)
    lines = read_tsv(text) if tabs else read_csv(text, separator)
    if declared:
        next(lines)
    header = next(lines, None)
    if header is None:
        raise DataError(f"{shown}: empty; write a header line path,text and one line for each {folder.item}.")
    cells = [str(cell) for cell in header.cells]
    columns = find_columns_without_header(shown, cells, folder.is_item)
    if columns is None:
        columns = _find_named_columns(shown, cells, folder)
    else:
        lines = itertools.chain([header], lines)
    count = len(cells)
    return (_refuse_more_cells(line, count, separator) for line in lines), columns


def _find_named_columns(shown: str, names: Sequence[str], folder: Folder) -> Columns:
    return find_columns(shown, names, phones=folder.phones, column=folder.column)


def _refuse_more_cells(line: Line, count: int, separator: str) -> Line:
    if line.problem or len(line.cells) <= count:
        return line
    advice = "put texts with " + SEPARATORS.get(separator, repr(separator)) + " in quotation marks"
    if separator == "\t":
        advice = "replace the tabs inside of texts"
    return Line(line.number, problem=f"{len(line.cells)} cells under {format_count(count, 'column')}; {advice}")


def _find_columns_of_lines(shown: str, text: str, folder: Folder) -> tuple[Iterator[Line], Columns]:
    """Of a .txt file: a name, a comma, tab, semicolon or space, and a text that may contain it; a header or none."""
    full = list(numbered_lines(text))
    if not full:
        raise DataError(f"{shown}: empty; write one line with name, tab and text for each {folder.item}.")
    separator = _find_separator([line.strip(" ") for _, line in full[:20]], folder.is_item)
    if not separator:
        number, line = next((pair for pair in full if not set("\t,;") & set(pair[1])), full[0])
        raise DataError(
            f"{shown}: found no comma or tab in line {number}, {line!r}; write the name of the {folder.item}, a tab "
            "and its text."
        )
    lines = list(read_names_and_texts(text, separator))
    columns = find_columns_without_header(shown, lines[0].cells, folder.is_item)
    if columns is None and len(lines) > 1 and folder.is_item(str(lines[1].cells[0])):
        columns = _find_named_columns(shown, [str(cell) for cell in lines.pop(0).cells], folder)
    columns = columns or Columns(0, 1, None, ("1", "2"))
    return _unquote_texts(lines, columns, separator), columns


def _find_separator(lines: Sequence[str], is_item: Callable[[str], bool]) -> str:
    """The separator behind the names of most lines, else the first that is in every line; "" if there is none."""
    for one in "\t,; ":
        named = sum(one in line and is_item(line.partition(one)[0].strip()) for line in lines)
        if 2 * named >= len(lines):
            return one
    return next((one for one in "\t,; " if all(one in line for line in lines)), "")


def _unquote_texts(lines: Sequence[Line], columns: Columns, separator: str) -> Iterator[Line]:
    """Remove quotation marks around texts: after commas each pair, as in CSV; else only if every text has them."""
    texts = [str(line.cells[columns.text]) if len(line.cells) > columns.text else "" for line in lines]
    quoted = separator in ",;" or all(unquote(text) != text for text in texts)
    for line, text in zip(lines, texts, strict=True):
        cells = list(line.cells)
        if quoted and len(cells) > columns.text:
            cells[columns.text] = unquote(text)
        yield Line(line.number, cells, problem=line.problem)


def _find_json_columns(shown: str, text: str, folder: Folder) -> tuple[Iterator[Line], Columns]:
    lines = list(read_jsonl(text))
    first = next((line for line in lines if line.keys), None)
    names = ("path", folder.column or "text")
    if first is None:
        return iter(lines), Columns(0, 1, None, names)
    try:
        columns = _find_named_columns(shown, first.keys, folder)
    except DataError:
        if set(names) & {key.lower() for line in lines for key in line.keys}:
            columns = Columns(0, 1, None, names)  # a row lacks one; each such row is reported
        else:
            raise
    return iter(lines), columns
