"""The files of a data folder: what layouts are recognised by."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from seqloss.data.paths import IMAGES, ItemKind, resolve_inside
from seqloss.errors import DataError

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What people call the splits, in lower case."""

TEXT_SUFFIXES = frozenset((".csv", ".tsv", ".txt", ".json", ".jsonl"))
"""Files of texts that can be read."""

OTHER_TEXT_SUFFIXES = frozenset(
    (
        ".arrow", ".box", ".ctm", ".eaf", ".h5", ".hocr", ".html", ".lab", ".mat", ".mdb", ".npy", ".npz", ".ods",
        ".parquet", ".pkl", ".scp", ".srt", ".stm", ".textgrid", ".trn", ".vtt", ".wrd", ".xls", ".xlsx", ".xml",
        ".yaml", ".yml",
    )
)  # fmt: skip
"""Files that may hold the texts of a data set, but cannot be read."""


@dataclass(frozen=True)
class Folder:
    """A data folder. Hidden files and folders, `__MACOSX`, and folders of runs are left out.

    Attributes:
        root: the folder.
        images: where the images or sounds are, if not in `root`.
        file: the only file of texts that counts, if the user named one.
        kind: whether images or sounds are looked for.
        follow_links: read folders and files behind links.
        phones: read phones where others read texts.
        column: of tables, read in place of texts.
    """

    root: Path
    images: Path
    file: str | None = None
    kind: ItemKind = IMAGES
    follow_links: bool = False
    phones: bool = False
    column: str | None = None

    @property
    def item(self) -> str:
        """What one image or sound is called in messages."""
        return self.kind.name

    @cached_property
    def files(self) -> tuple[str, ...]:
        """All files below `root`, as sorted relative paths with forward slashes."""
        return tuple(sorted(_walk(self.root, self.follow_links)))

    @cached_property
    def items(self) -> tuple[str, ...]:
        """All images or sounds below `images`, as sorted relative paths with forward slashes."""
        files = self.files if self.images == self.root else sorted(_walk(self.images, self.follow_links))
        return tuple(name for name in files if self.is_item(name))

    @cached_property
    def item_set(self) -> frozenset[str]:
        return frozenset(self.items)

    @cached_property
    def linked_folders(self) -> tuple[str, ...]:
        """Links to folders that are not followed."""
        if self.follow_links:
            return ()
        return tuple(sorted(_find_linked_folders(self.images)))

    def is_item(self, name: str) -> bool:
        return PurePosixPath(name).suffix.lower() in self.kind.suffixes

    def find_text_files(self, pattern: str) -> list[str]:
        """The files of texts whose whole names match, ignoring case: in the folder itself, else in those of its splits.

        Args:
            pattern: a regular expression.
        """
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        if self.file is not None:
            return [self.file] if matches(self.file) else []
        own = [name for name in _list_files(self.root) if matches(name)]
        if own:
            return own
        splits = [name for name in _list_folders(self.root) if name.lower() in SPLITS]
        return [f"{split}/{name}" for split in splits for name in _list_files(self.root / split) if matches(name)]

    @cached_property
    def text_files(self) -> tuple[str, ...]:
        """Files anywhere below `root` that may hold texts."""
        suffixes = TEXT_SUFFIXES | OTHER_TEXT_SUFFIXES
        return tuple(
            name
            for name in self.files
            if (path := PurePosixPath(name)).suffix.lower() in suffixes or path.name == "text"
        )

    def text_path(self, file: str) -> Path:
        """The path of a file of texts.

        Raises:
            DataError: it is a link out of the folder.
        """
        return resolve_inside(self.root, file, follow_links=self.follow_links)

    def describe(self) -> str:
        return str(self.root / self.file if self.file else self.root)


def open_folder(
    source: Path,
    *,
    images: Path | None = None,
    kind: ItemKind = IMAGES,
    follow_links: bool = False,
    phones: bool = False,
    column: str | None = None,
) -> Folder:
    """The folder of a data set, which may be given as a file of texts in it.

    Raises:
        DataError: there is no such folder or file, or it is of another kind.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; give the folder that holds the {kind.name}s.")
    if source.is_file() and source.suffix.lower() not in TEXT_SUFFIXES:
        raise DataError(f"{source}: expected a folder, or a .csv, .tsv, .txt, .json or .jsonl file; give one of these.")
    if images is not None and not images.is_dir():
        raise DataError(f"{kind.option} {images}: no such folder; give the folder that holds the {kind.name}s.")
    root = source.parent if source.is_file() else source
    file = source.name if source.is_file() else None
    return Folder(root, images or root, file, kind, follow_links, phones, column)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _list_files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _scan(folder) if not (_is_folder(entry) or _is_hidden(entry.name)))


def _list_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _scan(folder) if _is_folder(entry) and not _is_hidden(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link
        return False


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions.") from error


def _walk(root: Path, follow_links: bool) -> Iterator[str]:
    """The files below a folder, as paths relative to it."""
    seen: set[str] = set()

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions.") from error

    for place, folders, files in os.walk(root, followlinks=follow_links, onerror=fail):
        if follow_links:
            real = os.path.realpath(place)
            if real in seen:  # a link to a folder above, or a second one to the same
                folders.clear()
                continue
            seen.add(real)
        if Path(place) != root and _is_run(folders, files):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        below = PurePosixPath(Path(place).relative_to(root).as_posix())
        yield from (str(below / name) for name in files if not _is_hidden(name))


def _is_run(folders: Sequence[str], files: Sequence[str]) -> bool:
    """Whether these are the contents of a run's folder, which may be in its data folder: --data . --out runs/a."""
    return "settings.json" in files and "checkpoints" in folders


def _find_linked_folders(root: Path) -> Iterator[str]:
    for place, folders, _ in os.walk(root):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (
            (Path(place) / name).relative_to(root).as_posix() for name in folders if (Path(place) / name).is_symlink()
        )
