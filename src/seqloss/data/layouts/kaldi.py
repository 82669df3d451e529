"""`kaldi`: wav.scp with a line "utterance path" and text with a line "utterance words", in the folder or in train/ and
test/.

Commands in wav.scp (ending in |) are refused, since reading a data set must not run programs; so are segments.

Source: https://kaldi-asr.org/doc/data_prep.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.layouts.table import split_of_file
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import numbered_lines, read_text
from seqloss.errors import DataError


def find_kaldi(folder: Folder) -> list[str]:
    found = folder.find_text_files(r"wav\.scp") if folder.file is None else []
    return [file for file in found if _beside(folder, file, "text").is_file()]


def _beside(folder: Folder, file: str, name: str) -> Path:
    return folder.text_path(str(PurePosixPath(file).parent / name))


def read_kaldi(folder: Folder, files: Sequence[str]) -> Reading:
    records = [record for file in files for record in _read_one(folder, file)]
    return Reading(records, f"text beside {' and '.join(files)}, as in Kaldi")


def _read_one(folder: Folder, file: str) -> list[Record]:
    if _beside(folder, file, "segments").is_file():
        place = PurePosixPath(file).parent
        raise DataError(
            f"{folder.root / place / 'segments'}: segments of longer recordings are not read; cut them into files "
            "first (extract-segments in Kaldi), and list those in wav.scp."
        )
    text = str(PurePosixPath(file).parent / "text")
    paths, records = _read_unique(folder, file)
    texts, repeated = _read_unique(folder, text)
    records += repeated
    for name, (number, words) in texts.items():
        if name not in paths:
            problem = f"utterance {name} is not in {file}; add it, or remove the line"
            records.append(Record(text, number, problem=problem))
            continue
        scp, path = paths[name]
        if path.endswith("|"):
            problem = f"{name} is a command, {path!r}; run it once, and write the path of its output instead"
            records.append(Record(file, scp, problem=problem))
        else:
            records.append(Record(text, number, path, words, split_of_file(file)))
    for name, (number, _) in paths.items():
        if name not in texts:
            problem = f"utterance {name} is not in {text}; add it, or remove the line"
            records.append(Record(file, number, problem=problem))
    return records


def _read_unique(folder: Folder, file: str) -> tuple[dict[str, tuple[int, str]], list[Record]]:
    """(line, value) of each utterance; and the lines of utterances that were there before."""
    found: dict[str, tuple[int, str]] = {}
    repeated = []
    for number, name, value in _read_pairs(folder, file):
        if name in found:
            problem = f"utterance {name} is in line {found[name][0]} already; keep one of the lines"
            repeated.append(Record(file, number, problem=problem))
        else:
            found[name] = number, value
    return found, repeated


def _read_pairs(folder: Folder, file: str) -> list[tuple[int, str, str]]:
    return [(number, *_cut(line)) for number, line in numbered_lines(read_text(folder.text_path(file)))]


def _cut(line: str) -> tuple[str, str]:
    name, *rest = line.split(None, 1)
    return name, rest[0].strip() if rest else ""


LAYOUT = Layout("kaldi", "wav.scp and text of Kaldi", find_kaldi, read_kaldi, kind=SOUNDS)
