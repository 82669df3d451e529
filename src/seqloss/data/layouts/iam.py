"""`iam`: the IAM handwriting database: lines.txt or words.txt, and the images a01/a01-000u/a01-000u-00.png.

A line of lines.txt has an identifier, ok or err, six numbers, and the text, with | for a space; words.txt has a tag of
the grammar before the text. Images whose segmentation is marked err are left out.

Source: https://fki.tic.heia-fr.ch/databases/iam-handwriting-database
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from seqloss.counts import format_count
from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record
from seqloss.data.paths import IMAGES
from seqloss.data.tables import numbered_lines, read_text
from seqloss.errors import DataError

LINE = re.compile(r"([a-z]\d\d-\d{3}\w?-\d\d) (ok|err) (?:-?\d+ ){6}(.*)")
WORD = re.compile(r"([a-z]\d\d-\d{3}\w?-\d\d-\d\d) (ok|err) (?:-?\d+ ){5}\S+ (.*)")
PATTERNS = {"lines.txt": LINE, "words.txt": WORD}


def find_iam(folder: Folder) -> list[str]:
    """lines.txt or words.txt, in the folder or in ascii/: the ones whose images are there."""
    files = [folder.file] if folder.file else [f"{place}{name}" for place in ("", "ascii/") for name in PATTERNS]
    found = [name for name in files if _is_iam(folder, name)]
    if len(found) < 2:
        return found
    kinds = {len(PurePosixPath(item).stem.split("-")) for item in folder.items}
    with_images = [name for name in found if (3 if PurePosixPath(name).name == "lines.txt" else 4) in kinds]
    return with_images or found


def _is_iam(folder: Folder, file: str) -> bool:
    pattern = PATTERNS.get(PurePosixPath(file).name.lower())
    path = folder.text_path(file)
    if pattern is None or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = next((line.rstrip("\r\n") for line in lines if line.strip() and not line.startswith("#")), "")
    return bool(pattern.fullmatch(first))


def read_iam(folder: Folder, files: Sequence[str]) -> Reading:
    if len(files) > 1:
        raise DataError(
            f"{folder.root}: has images for {' and '.join(files)}; pass the one to read, as "
            f"--data {folder.root / files[0]} --images {folder.images}"
        )
    file = files[0]
    pattern = PATTERNS[PurePosixPath(file).name.lower()]
    places = {PurePosixPath(item).stem: item for item in folder.items}
    records, errors = [], set()
    for number, line in numbered_lines(read_text(folder.text_path(file))):
        if line.startswith("#"):
            continue
        match = pattern.fullmatch(line)
        if not match:
            records.append(Record(file, number, problem=f"not a line of {PurePosixPath(file).name}: {line[:60]!r}"))
            continue
        item = places.get(match[1], _usual_place(match[1]))
        if match[2] == "err":
            errors.add(item)
        else:
            text = match[3].replace("|", " ") if pattern is LINE else match[3]
            records.append(Record(file, number, item, text))
    notes = [f"left out {format_count(len(errors), folder.item)} that {file} marks err"] if errors else []
    return Reading(records, f"{file}, as in IAM", notes, frozenset(errors))


def _usual_place(name: str) -> str:
    """a01-000u-00 to a01/a01-000u/a01-000u-00.png."""
    form, number, *_ = name.split("-")
    return f"{form}/{form}-{number}/{name}.png"


LAYOUT = Layout("iam", "lines.txt or words.txt of IAM", find_iam, read_iam, kind=IMAGES)
