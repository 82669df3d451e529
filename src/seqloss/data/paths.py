"""Paths of images, which must be inside the data folder."""

from __future__ import annotations

from pathlib import Path

from seqloss.errors import DataError, outside_folder

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm"))


def resolve_inside(folder: Path, name: str) -> Path:
    """The absolute path, with links resolved.

    Raises:
        DataError: it is outside the folder, or not a usable path.
    """
    home = folder.resolve()
    if "\0" in name:
        raise DataError(f"{escape_undecodable(name)}: not a usable path (embedded null byte)")
    try:
        path = (home / name).resolve()
        loop = path.is_symlink()  # from Python 3.13 on, resolve() leaves it as it is
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{escape_undecodable(name)}: not a usable path ({error})") from error
    if loop:
        raise DataError(f"{escape_undecodable(name)}: not a usable path (a circular link)")
    if not path.is_relative_to(home):
        raise DataError(f"{escape_undecodable(name)}: {outside_folder(path, home)}")
    return path


def escape_undecodable(text: str) -> str:
    """The text with escapes in place of bytes that are not UTF-8, so that it can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()
