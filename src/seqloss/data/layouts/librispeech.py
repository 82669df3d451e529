"""`librispeech`: train-clean-100/103/1240/103-1240.trans.txt with a line "103-1240-0000 CHAPTER ONE" for each recording
103-1240-0000.flac beside it.

Source: https://www.openslr.org/12
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.folder import SPLITS, Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import numbered_lines, read_text


def find_librispeech(folder: Folder) -> list[str]:
    files = [folder.file] if folder.file else folder.text_files
    return [file for file in files if file.endswith(".trans.txt")]


def read_librispeech(folder: Folder, files: Sequence[str]) -> Reading:
    first = PurePosixPath(files[0]).name
    counted = format_count(len(files), "file")
    return Reading(_read_files(folder, files), f"{counted} *.trans.txt, such as {first}, as in LibriSpeech")


def _read_files(folder: Folder, files: Sequence[str]) -> Iterator[Record]:
    for file in files:
        where = PurePosixPath(file).parent
        for number, line in numbered_lines(read_text(folder.text_path(file))):
            name, _, text = line.partition(" ")
            places = [f"{where / name}{suffix}" for suffix in (".flac", *folder.kind.suffixes)]
            item = next((place for place in places if place in folder.item_set), places[0])
            yield Record(file, number, item, text, _split_of(where))


def _split_of(place: PurePosixPath) -> str | None:
    """train-clean-100 is training, dev-other validation, test-clean test."""
    words = [part.lower().split("-")[0] for part in place.parts]
    return next((word for word in words if word in SPLITS), None)


LAYOUT = Layout("librispeech", "*.trans.txt files of LibriSpeech", find_librispeech, read_librispeech, kind=SOUNDS)
