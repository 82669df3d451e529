"""`file-names`: the texts are the names of the files. Only tried if nothing else fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout, Reading, Record


def find_file_names(folder: Folder) -> Sequence[str]:
    return folder.items if folder.file is None else ()


def read_file_names(folder: Folder, items: Sequence[str]) -> Reading:
    records = [Record("", path=item, text=PurePosixPath(item).stem) for item in items]
    return Reading(records, f"the file names: {list_first(str(record.text) for record in records)}")


def list_first(texts: Iterable[str], count: int = 3) -> str:
    """The first different texts, and an ellipsis if there are more."""
    found = list(islice(dict.fromkeys(texts), count + 1))
    return ", ".join(found[:count]) + (", ..." if len(found) > count else "")


LAYOUT = Layout(
    "file-names", "images that are named after their texts", find_file_names, read_file_names, in_names=True
)
