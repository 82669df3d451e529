"""Atomic writes: a file has its old content or all of its new content, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a text in UTF-8. If the write fails or the process is killed, the file keeps its old content.

    The text is written to a hidden file in the same folder, synchronised to the disk, then renamed.

    Args:
        path: file to write; folders are created.
        text: its content.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
