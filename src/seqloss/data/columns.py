"""Which columns of a table hold the name of an image, its text, and its split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from seqloss.counts import format_count
from seqloss.errors import DataError

# Of each, the first group with a match decides. Two matches within a group are ambiguous.
PATHS = (
    ("path",),
    ("file_name", "filename", "file name"),
    (
        "file", "image", "img", "image_path", "img_path", "image_name", "img_name", "image_file", "file_path",
        "filepath", "name", "audio", "audio_filepath", "audio_path", "wav",
    ),
)  # fmt: skip
TEXTS = (
    ("text",),
    (
        "words", "word", "transcription", "transcript", "label", "labels", "sentence", "ground_truth", "gt", "caption",
        "string", "identity", "target",
    ),
)  # fmt: skip
PHONES = (("phones", "phonemes", "phoneme", "phn"),)
SPLIT = (("split",),)


class Columns(NamedTuple):
    """Positions, and names for messages; `split` is None where there is no such column."""

    path: int
    text: int
    split: int | None
    names: tuple[str, str]

    def __str__(self) -> str:
        return f"columns {self.names[0]} and {self.names[1]}"


def find_columns(file: str, header: Sequence[str], *, phones: bool = False, column: str | None = None) -> Columns:
    """Find the columns by their names, ignoring case. Of two columns, the one that has no known name is the other.

    Args:
        file: for messages.
        header: the names.
        phones: look for phones where others look for texts.
        column: the name of the column that is read in place of texts; None for the usual names.

    Raises:
        DataError: a column is missing, or two have a fitting name.
    """
    names = [name.strip() for name in header]
    lower = [name.lower() for name in names]
    texts = ((column.lower(),),) if column else PHONES if phones else TEXTS
    path, text = _find(file, names, lower, PATHS), _find(file, names, lower, texts)
    if not phones and not column and len(names) == 2 and (path is None) != (text is None):
        path, text = (path, 1 - path) if path is not None else (1 - (text or 0), text)
    if path is None or text is None:
        values = column or ("phones" if phones else "text")
        wanted = "path" if path is None else values
        raise DataError(
            f"{file}: no column named {wanted!r} in the header {','.join(header)!r}; the "
            f"first line must name the columns path,{values} (and split, if wanted)."
        )
    return Columns(path, text, _find(file, names, lower, SPLIT), (names[path], names[text]))


def find_columns_without_header(file: str, cells: Sequence[object], is_item: Callable[[str], bool]) -> Columns | None:
    """The columns of a table whose first line is no header, because a cell of it is the name of an image.

    Raises:
        DataError: there are more than two columns.
    """
    named = [k for k, cell in enumerate(cells) if is_item(str(cell).strip())]
    if not named:
        return None
    if len(cells) != 2:
        raise DataError(
            f"{file}: no header, and {format_count(len(cells), 'column')}; write a first line that names the columns "
            "path and text."
        )
    return Columns(named[0], 1 - named[0], None, (str(named[0] + 1), str(2 - named[0])))


def _find(file: str, names: Sequence[str], lower: Sequence[str], groups: Sequence[Sequence[str]]) -> int | None:
    for group in groups:
        found = [k for k, name in enumerate(lower) if name in group]
        if len(found) > 1:
            shown = " and ".join(names[k] for k in found)
            raise DataError(
                f"{file}: more than one column for the {groups[0][0]}: {shown}; name the right one {groups[0][0]!r}, "
                "and the others differently."
            )
        if found:
            return found[0]
    return None
