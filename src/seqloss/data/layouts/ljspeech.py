"""`ljspeech`: metadata.csv with lines "LJ001-0001|text as printed|text as spoken", and wavs/LJ001-0001.wav.

The text as spoken, with numbers and abbreviations written out, is read.

Source: https://keithito.com/LJ-Speech-Dataset/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import first_line, numbered_lines, read_text


def find_ljspeech(folder: Folder) -> list[str]:
    return [file for file in folder.find_text_files(r"metadata\.csv") if _has_bars(folder, file)]


def _has_bars(folder: Folder, file: str) -> bool:
    """Whether the first line has bars, and no header."""
    first = first_line(folder.text_path(file)).split("|")
    return len(first) in (2, 3) and not {cell.strip().lower() for cell in first} & {"file_name", "path", "text"}


def read_ljspeech(folder: Folder, files: Sequence[str]) -> Reading:
    records = []
    for file in files:
        lines = list(numbered_lines(read_text(folder.text_path(file))))
        columns = lines[0][1].count("|") + 1
        records += [_make_record(folder, file, number, line, columns) for number, line in lines]
    return Reading(records, f"{' and '.join(files)}, last column, as in LJSpeech")


def _make_record(folder: Folder, file: str, number: int, line: str, columns: int) -> Record:
    name, *texts = line.split("|")
    if not texts:
        return Record(file, number, problem="no bar in the line; write name|text")
    if len(texts) + 1 != columns:
        problem = (
            f"{format_count(len(texts) + 1, 'column')}, the first line has {columns}; write as many, and no bar inside "
            "of a text"
        )
        return Record(file, number, problem=problem)
    where = PurePosixPath(file).parent
    places = [f"{where / place / name}{suffix}" for place in ("wavs", "") for suffix in ("", *folder.kind.suffixes)]
    item = next((place for place in places if place in folder.item_set), f"{where / 'wavs' / name}.wav")
    return Record(file, number, item, texts[-1])


LAYOUT = Layout("ljspeech", "metadata.csv with name|text|text, and wavs/", find_ljspeech, read_ljspeech, kind=SOUNDS)
