"""`timit`: TRAIN/DR1/FCJF0/SA1.WAV with SA1.TXT (the sentence), SA1.WRD and SA1.PHN (words and phones with times).

In each, a line has the first sample, the sample after the last one, and the text. The sentences SA1 and SA2 are the
same for all speakers; they are left out, as is usual, where the folder has TRAIN and TEST.

Source: https://catalog.ldc.upenn.edu/LDC93S1
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record, unreadable
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import numbered_lines, read_text
from seqloss.errors import DataError

SEGMENT = re.compile(r"(\d+)\s+(\d+)\s+(\S.*)")


def find_timit(folder: Folder) -> list[str]:
    """The files .phn beside recordings."""
    if folder.file is not None:
        return []
    return [file for file in folder.files if file.lower().endswith(".phn")]


def read_timit(folder: Folder, files: Sequence[str]) -> Reading:
    whole = {"train", "test"} <= {part.lower() for file in files for part in PurePosixPath(file).parts[:-1]}
    by_name = {name.lower(): name for name in folder.files}
    dialect = [file for file in files if whole and PurePosixPath(file).stem.lower() in ("sa1", "sa2")]
    left_out = frozenset(by_name[name] for file in dialect if (name := _beside(file, ".wav")) in by_name)
    records = [_read_one(folder, file, by_name) for file in files if file not in set(dialect)]
    notes = [f"left out {format_count(len(dialect), folder.item)} of the sentences SA1 and SA2"] if dialect else []
    suffix = "*.phn" if folder.phones else "*.txt"
    return Reading(records, f"files {suffix} beside the {folder.item}s, as in TIMIT", notes, left_out)


def _beside(file: str, suffix: str) -> str:
    return str(PurePosixPath(file).with_suffix(suffix)).lower()


def _read_one(folder: Folder, phn: str, by_name: dict[str, str]) -> Record:
    wav = by_name.get(_beside(phn, ".wav"))
    if wav is None:
        return Record(phn, problem=f"no {folder.item} beside it; put {PurePosixPath(phn).stem}.wav there")
    file = phn if folder.phones else by_name.get(_beside(phn, ".txt"))
    if file is None:
        return Record(wav, problem=f"no text beside it; put {PurePosixPath(phn).stem}.txt there")
    try:
        segments = read_segments(read_text(folder.text_path(file)))
    except DataError as problem:
        return unreadable(folder, file, problem)
    return Record(file, None, wav, " ".join(text for _, _, text in segments), _split_of(wav))


def read_segments(text: str) -> list[tuple[int, int, str]]:
    """(first sample, sample after the last one, text) of each line.

    Raises:
        DataError: a line has another form.

    Example:
        >>> read_segments("0 3050 h#\\n3050 4559 sh\\n")
        [(0, 3050, 'h#'), (3050, 4559, 'sh')]
    """
    segments = []
    for number, line in numbered_lines(text):
        match = SEGMENT.fullmatch(line.strip())
        if not match or int(match[1]) > int(match[2]):
            raise DataError(f"line {number}: found {line!r}, expected first sample, last sample and text")
        segments.append((int(match[1]), int(match[2]), match[3]))
    return segments


def _split_of(name: str) -> str | None:
    return next((part.lower() for part in PurePosixPath(name).parts[:-1] if part.lower() in ("train", "test")), None)


LAYOUT = Layout("timit", "SA1.PHN and SA1.TXT beside each SA1.WAV", find_timit, read_timit, beside=True, kind=SOUNDS)
