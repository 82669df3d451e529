"""Where a data set's images may lie: below its folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from seqloss.errors import DataError, outside_folder

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm"))


def inside(folder: Path, name: str) -> Path:
    """The absolute path, links followed; a `DataError` where it leaves the data folder."""
    home = folder.resolve()
    if "\0" in name:
        raise DataError(f"{shown(name)}: not a usable path (embedded null byte)")
    try:
        path = (home / name).resolve()
        loop = path.is_symlink()  # from Python 3.13 on, resolve() leaves it as it is
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown(name)}: not a usable path ({error})") from error
    if loop:
        raise DataError(f"{shown(name)}: not a usable path (a link that leads back to itself)")
    if not path.is_relative_to(home):
        raise DataError(f"{shown(name)}: {outside_folder(path, home)}")
    return path


def shown(text: str) -> str:
    """Text that any terminal or file takes: bytes of a name that are no UTF-8 appear as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
