"""`mjsynth`: 90kDICT32px/2425/1/115_Lube_45484.jpg, with the text between the underscores.

annotation_train.txt, annotation_val.txt and annotation_test.txt name the images of each split; without them all images
are read.

Source: https://www.robots.ox.ac.uk/~vgg/data/text/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.layouts.table import split_of_file
from seqloss.data.paths import IMAGES
from seqloss.data.tables import first_line, numbered_lines, read_text

NAME = re.compile(r"\d+_([^_]+)_\d+")
ANNOTATION = re.compile(r"annotation(_(train|val|test))?\.txt")
KNOWN = frozenset(("lexicon.txt", "imlist.txt"))
"""Files that come with the images and hold no texts."""
LINE = re.compile(r"(\S*\d+_[^_/]+_\d+\.\w+) \d+\s*")


def is_nested(folder: Folder) -> bool:
    """Whether every image is named so and is in a subfolder, so that the numbers are not part of a text."""
    return _names_fit(folder) and all("/" in item for item in folder.items)


def _names_fit(folder: Folder) -> bool:
    return bool(folder.items) and all(NAME.fullmatch(PurePosixPath(item).stem) for item in folder.items)


def find_mjsynth(folder: Folder) -> Sequence[str]:
    """The annotation files, else the images."""
    files = [folder.file] if folder.file else folder.text_files
    annotations = [name for name in files if ANNOTATION.fullmatch(PurePosixPath(name).name)]
    annotations = [name for name in annotations if LINE.fullmatch(first_line(folder.text_path(name)))]
    if len(annotations) > 1:
        annotations = [name for name in annotations if split_of_file(name)]  # annotation.txt lists all of them
    if annotations or folder.file is not None:
        return annotations
    others = {PurePosixPath(file).name for file in folder.text_files} - KNOWN
    return folder.items if not others and _names_fit(folder) else []


def read_mjsynth(folder: Folder, found: Sequence[str]) -> Reading:
    if folder.is_item(found[0]):
        records = [_make_record("", None, item, None) for item in found]
        return Reading(records, "the file names between the underscores, as in MJSynth")
    return Reading(_read_annotations(folder, found), f"{' and '.join(found)}, as in MJSynth")


def _read_annotations(folder: Folder, files: Sequence[str]) -> Iterator[Record]:
    for file in files:
        where = PurePosixPath(file).parent
        for number, line in numbered_lines(read_text(folder.text_path(file))):
            yield _make_record(file, number, str(where / line.rpartition(" ")[0].strip()), split_of_file(file))


def _make_record(file: str, number: int | None, item: str, split: str | None) -> Record:
    match = NAME.fullmatch(PurePosixPath(item).stem)
    if not match:
        return Record(file, number, problem=f"{item!r} is not a name such as 115_Lube_45484.jpg")
    return Record(file, number, item, match[1], split)


LAYOUT = Layout("mjsynth", "names such as 115_Lube_45484.jpg", find_mjsynth, read_mjsynth, kind=IMAGES)
