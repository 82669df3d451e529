"""`label-number`: file names that are a text, an underscore and a number: apple_0.png, apple_1.png, pear_0.png."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.data.layouts import mjsynth
from seqloss.data.layouts.file_names import list_first
from seqloss.data.layouts.layout import Layout, Reading, Record

NAME = re.compile(r"(.+)_\d+", re.DOTALL)


def find_label_numbers(folder: Folder) -> Sequence[str]:
    """The images, if all are named so; a series such as img_1.png, img_2.png has numbers, but no texts."""
    if folder.file is not None or mjsynth.is_nested(folder):
        return []
    found = [NAME.fullmatch(PurePosixPath(item).stem) for item in folder.items]
    labels = {match[1] for match in found if match}
    return folder.items if None not in found and (len(labels) > 1 or len(found) == 1) else []


def read_label_numbers(folder: Folder, items: Sequence[str]) -> Reading:
    records = [Record("", path=item, text=PurePosixPath(item).stem.rpartition("_")[0]) for item in items]
    texts = list_first(str(record.text) for record in records)
    return Reading(records, f"the file names before the last underscore: {texts}")


LAYOUT = Layout(
    "label-number", "names such as apple_0.png, apple_1.png", find_label_numbers, read_label_numbers, in_names=True
)
