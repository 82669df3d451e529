"""`common-voice`: train.tsv, dev.tsv and test.tsv with the columns path and sentence, and clips/.

validated.tsv, other.tsv and invalidated.tsv are not read.

Source: https://commonvoice.mozilla.org/datasets
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.layouts.table import split_of_file
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import first_line, read_text, read_tsv


def find_common_voice(folder: Folder) -> list[str]:
    """The tables of the splits that have these columns."""
    return [file for file in folder.find_text_files(r"(train|dev|test)\.tsv") if _has_columns(folder, file)]


def _has_columns(folder: Folder, file: str) -> bool:
    return {"path", "sentence"} <= set(first_line(folder.text_path(file)).split("\t"))


def read_common_voice(folder: Folder, files: Sequence[str]) -> Reading:
    ordered = sorted(files, key=lambda file: ("train", "dev", "test").index(PurePosixPath(file).stem))
    records = itertools.chain(*(_read_one(folder, file) for file in ordered))
    return Reading(records, f"{' and '.join(ordered)}, columns path and sentence, as in Common Voice")


def _read_one(folder: Folder, file: str) -> Iterator[Record]:
    lines = read_tsv(read_text(folder.text_path(file)))
    header = [str(cell) for cell in next(lines).cells]
    path, text = header.index("path"), header.index("sentence")
    clips = PurePosixPath(file).parent / "clips"
    for line in lines:
        if len(line.cells) != len(header):
            problem = (
                f"{format_count(len(line.cells), 'cell')} under {len(header)} columns; replace tabs inside of texts"
            )
            yield Record(file, line.number, problem=problem)
            continue
        name = str(line.cells[path])
        yield Record(
            file, line.number, str(clips / name) if name else None, line.cells[text], split_of_file(file),
            names=("path", "sentence"),
        )  # fmt: skip


LAYOUT = Layout(
    "common-voice", "train.tsv with the columns path and sentence", find_common_voice, read_common_voice, kind=SOUNDS
)
