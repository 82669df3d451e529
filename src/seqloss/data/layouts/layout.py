"""What a layout of a data folder is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seqloss.data.folder import Folder
from seqloss.data.paths import ItemKind
from seqloss.errors import DataError


@dataclass(frozen=True)
class Record:
    """An image or sound and its text, as they are written down.

    Attributes:
        file: of the text, below the data folder; "" if the text is part of a file name.
        line: where it begins, from 1, or None.
        path: of the image or sound, below the folder of images; any value, as JSON may hold any.
        text: its text; any value.
        split: the split, or None.
        problem: why the record could not be parsed, or "".
        names: of the columns of path and text, for messages.
    """

    file: str
    line: int | None = None
    path: object = None
    text: object = None
    split: object = None
    problem: str = ""
    names: tuple[str, str] = ("path", "text")


@dataclass(frozen=True)
class Reading:
    """What a layout reads from a folder.

    Attributes:
        records: in the order of the files.
        texts: where the texts come from; a run prints it.
        notes: further lines to print.
        left_out: images or sounds that the data set itself excludes.
    """

    records: Iterable[Record]
    texts: str
    notes: Sequence[str] = ()
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layout:
    """A way to keep images or sounds and their texts in a folder.

    Attributes:
        name: for --layout.
        files: what it is recognised by, in words.
        find: the files by which a folder shows this layout; none if it has another one.
        read: its records, from the files that were found.
        in_names: the texts are parts of file names: this layout is only tried where no file may hold texts.
        beside: each image has a file of its own: a manifest, which is written for seqloss, has precedence.
        kind: images or sounds, if this layout is for one of them alone.
    """

    name: str
    files: str
    find: Callable[[Folder], Sequence[str]]
    read: Callable[[Folder, Sequence[str]], Reading]
    in_names: bool = False
    beside: bool = False
    kind: ItemKind | None = None


def unreadable(folder: Folder, file: str, problem: DataError) -> Record:
    """The record of a file of texts that cannot be read; its reason is without the path, which messages show anyway."""
    path = folder.root.resolve() / file
    return Record(file, problem=str(problem).removeprefix(f"{path}: ").removeprefix(f"{file}: "))
