"""Choose the layout of a data folder: the one that its files show, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from seqloss.data.folder import SPLITS, TEXT_SUFFIXES, Folder
from seqloss.data.layouts import file_names, label_number, labels, layouts_of, manifest, mjsynth, pairs
from seqloss.data.layouts.file_names import list_first
from seqloss.data.layouts.layout import Layout
from seqloss.data.layouts.nemo import has_keys
from seqloss.data.paths import SOUNDS
from seqloss.errors import DataError, unknown_choice


def choose_layout(folder: Folder, name: str | None = None) -> tuple[Layout, Sequence[str]]:
    """The layout of a folder, and the files that show it.

    Args:
        folder: of the data.
        name: the layout that the user asked for.

    Raises:
        DataError: no layout fits, or two do.
        OptionError: there is no layout of that name.
    """
    if name is not None:
        return _find_named(folder, name)
    fits = [
        (layout, found) for layout in layouts_of(folder.kind) if not layout.in_names and (found := layout.find(folder))
    ]
    if any(layout is manifest.LAYOUT for layout, _ in fits):
        fits = [(layout, found) for layout, found in fits if not layout.beside]
    if fits and fits[0][0] is mjsynth.LAYOUT and (found := label_number.LAYOUT.find(folder)):
        fits.append((label_number.LAYOUT, found))  # 2_cats_1.png in a folder without subfolders
    if len(fits) > 1:
        raise DataError(_describe_two(folder, fits))
    if fits:
        return fits[0]
    if folder.file is not None:
        return labels.LAYOUT, [folder.file]
    if not folder.text_files:
        fits = [
            (layout, found) for layout in layouts_of(folder.kind) if layout.in_names and (found := layout.find(folder))
        ]
        if fits:
            return fits[0]
    raise DataError(_describe_none(folder))


def _find_named(folder: Folder, name: str) -> tuple[Layout, Sequence[str]]:
    layout = next((layout for layout in layouts_of(folder.kind) if layout.name == name), None)
    if layout is None:
        raise unknown_choice("--layout", name, [layout.name for layout in layouts_of(folder.kind)])
    found = layout.find(folder)
    if not found:
        raise DataError(f"{folder.describe()}: --layout {name} expects {layout.files}, found none; {_list(folder)}")
    return layout, found


def _describe_two(folder: Folder, fits: Sequence[tuple[Layout, Sequence[str]]]) -> str:
    shown = " and ".join(f"{layout.name} ({_name_first(found)})" for layout, found in fits)
    options = " or ".join(f"--layout {layout.name}" for layout, _ in fits)
    return f"{folder.root}: two layouts fit: {shown}; choose one with {options}."


def _name_first(found: Sequence[str]) -> str:
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"


def _describe_none(folder: Folder) -> str:
    below = _list_folders_above(folder.text_files)
    for part in below:
        inner = replace(folder, root=folder.root / part, images=folder.root / part)
        if any(layout.find(inner) for layout in layouts_of(folder.kind) if not layout.in_names):
            images = "" if inner.items else f" {folder.kind.option} {folder.images}"
            return f"{folder.root}: the texts are in {part}; give --data {folder.root / part}{images}"
    for part in below:
        for place in _list_folders_above(folder.items):
            inner = replace(folder, root=folder.root / part, images=folder.images / place)
            if pairs.LAYOUT.find(inner):
                options = f"--data {inner.root} {folder.kind.option} {inner.images}"
                return f"{folder.root}: the texts of {place} are in {part}; give {options}"
    if folder.items and folder.text_files:
        tables = [
            file for file in folder.text_files if _is_table(file) or (folder.kind is SOUNDS and has_keys(folder, file))
        ]
        tables.sort(key=_rank_of_split)
        first = f"if {tables[0]} has them, give --data {folder.root / tables[0]}; " if tables else ""
        names = list_first(PurePosixPath(item).stem for item in folder.items)
        return (
            f"{folder.root}: it is not clear where the texts are. It has {_name_first(folder.text_files)}, so the file "
            f"names are not taken as texts; {first}to train on the file names ({names}), add --layout "
            f"{file_names.LAYOUT.name}; else write labels.csv with the columns filename,words."
        )
    return f"{folder.describe()}: no {folder.item}s and no texts in it, or none that are known; {_list(folder)}"


def _list_folders_above(files: Iterable[str]) -> list[str]:
    """All folders, but the data folder itself, that hold some of the files; those that hold others first."""
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents} - {"."}
    return sorted(folders, key=lambda name: (name.count("/"), name))


def _is_table(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in TEXT_SUFFIXES - {".json"}


def _rank_of_split(file: str) -> int:
    """0 for a file of the training split, which is tried first; last for one of the test split."""
    found = {SPLITS.get(word) for word in re.split(r"[^a-z]+", file.lower())}
    return next((k for k, split in enumerate(("train", "validation", "test")) if split in found), 0)


def _list(folder: Folder) -> str:
    known = "; ".join(f"{layout.files} ({layout.name})" for layout in layouts_of(folder.kind))
    links = ""
    if folder.linked_folders:
        links = f" It has links to folders ({_name_first(folder.linked_folders)}): --follow-links reads them."
    return f"put {folder.item}s there with one of: {known}.{links}"
