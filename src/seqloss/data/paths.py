"""Paths of images and sounds, which must be inside the data folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from seqloss.errors import DataError, outside_folder

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm"))
SOUND_SUFFIXES = frozenset((".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sph", ".nist"))
FEATURE_SUFFIXES = frozenset((".npy", ".mfc"))


@dataclass(frozen=True)
class ItemKind:
    """Images or sounds.

    Attributes:
        name: of one of them in messages.
        suffixes: of the files, in lower case.
        option: of the command line for their folder.
    """

    name: str
    suffixes: frozenset[str]
    option: str


IMAGES = ItemKind("image", IMAGE_SUFFIXES, "--images")
SOUNDS = ItemKind("recording", SOUND_SUFFIXES | FEATURE_SUFFIXES, "--audio")


def resolve_inside(folder: Path, name: str, *, follow_links: bool = False) -> Path:
    """The absolute path, with links resolved.

    Args:
        folder: of the data.
        name: of a file below it.
        follow_links: a link may lead out of the folder; `name` itself never may.

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
    written = Path(os.path.normpath(home / name)) if follow_links else path
    if not written.is_relative_to(home):
        reason = outside_folder(path, home)
        if not follow_links and Path(os.path.normpath(home / name)).is_relative_to(home):
            reason += "; it is a link: --follow-links reads it"
        raise DataError(f"{escape_undecodable(name)}: {reason}")
    return path


def escape_undecodable(text: str) -> str:
    """The text with escapes in place of bytes that are not UTF-8, so that it can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def require_file(path: Path, what: str) -> None:
    """Raise a `DataError` unless there is a file.

    Args:
        path: of the file.
        what: it should be, for example "an image".
    """
    try:
        found = path.is_file()
    except OSError as error:  # a name too long, a folder that may not be entered
        raise DataError(f"cannot be looked for ({error.strerror})") from error
    if not found:
        raise DataError(f"not {what} but a folder or a device" if path.exists() else "no such file")
