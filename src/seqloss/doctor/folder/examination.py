"""`examine_folder`: what is wrong with the data, before there is a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seqloss.data.reading_order import describe_reading_order
from seqloss.doctor.findings import Findings, errors_first
from seqloss.doctor.folder.contents import FolderOptions, Progress, describe_splits, read_contents
from seqloss.doctor.folder.copies import check_copies
from seqloss.doctor.folder.items import check_items
from seqloss.doctor.folder.texts import check_folder_texts

LAWS = ("rows", "texts", "copies")


def examine_folder(
    source: Path,
    options: FolderOptions | None = None,
    *,
    print_line: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Findings:
    """Find out what is wrong with a data folder.

    Args:
        source: a folder in one of the layouts (`seqloss.data.layouts`), or the file with its texts.
        options: how it is read.
        print_line: called with lines that say how it was read.
        progress: called with (rows done, all rows) of each pass over the files.

    Returns:
        Findings, errors first.

    Raises:
        DataError: the folder cannot be read, or has no training rows.
        OptionError: there is no layout of that name; recordings are given an option of images.
    """
    options = options or FolderOptions()
    contents = read_contents(source, options)
    reading = describe_reading_order(contents.rows, contents.order)
    for line in [*contents.lines, *reading, describe_splits(contents)]:
        print_line(line)
    found = [
        *check_items(contents, options, progress),
        *check_folder_texts(contents, options),
        *check_copies(contents, progress),
    ]
    return Findings(errors_first(found), LAWS)
