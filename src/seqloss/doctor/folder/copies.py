"""Files of a data folder that are there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from seqloss.data.rows import Row
from seqloss.doctor.findings import Finding
from seqloss.doctor.folder.contents import SHOWN, Contents, Progress


def check_copies(contents: Contents, progress: Progress | None) -> Iterator[Finding]:
    """Equal files within the training, in both training and held-out rows, and with different texts.

    Args:
        contents: of the folder.
        progress: called while files are compared.
    """
    copies = _group(contents.rows, progress)
    trained = {row.path for row in contents.splits.train}
    train = [[row for row in rows if row.path in trained] for rows in copies]
    contradict = [rows for rows in copies if len({row.text for row in rows}) > 1]
    if contradict:
        yield Finding(
            "texts-contradict", "error",
            {"files": len(contradict),
             "such as": [" and ".join(f"{row.name}: {row.text!r}" for row in rows[:2]) for rows in contradict[:SHOWN]]},
            "the same file is there with different texts: at most one of them is right", "Keep the right one",
        )  # fmt: skip
    overlap = [rows for rows, own in zip(copies, train, strict=True) if 0 < len(own) < len(rows)]
    if overlap:
        held_out = sum(row.path not in trained for rows in overlap for row in rows)
        yield Finding(
            "held-out-overlaps", "error",
            {"rows": held_out, "of held-out rows": len(contents.held_out), "such as": _names(overlap)},
            "files of the training are among those that are held out: the held-out error is too good",
            "Remove the copies, and split by page, recording or speaker",
        )  # fmt: skip
    repeated = [rows for rows in train if len(rows) > 1]
    if repeated:
        yield Finding(
            "rows-repeated", "warning",
            {"rows": sum(len(rows) - 1 for rows in repeated), "of": len(trained), "such as": _names(repeated)},
            "files of the training are there several times", "Remove the copies, unless they are meant to count more",
        )  # fmt: skip


def _names(copies: Sequence[Sequence[Row]]) -> list[str]:
    return [" = ".join(row.name for row in rows[:3]) for rows in copies[:SHOWN]]


def _group(rows: Sequence[Row], progress: Progress | None) -> list[list[Row]]:
    """Rows whose files are equal; files of a size of their own are not read."""
    by_size: dict[int, list[Row]] = {}
    for row in rows:
        if row.path.is_file():
            by_size.setdefault(row.path.stat().st_size, []).append(row)
    alike = [row for same in by_size.values() if len(same) > 1 for row in same]
    found: dict[bytes, list[Row]] = {}
    for done, row in enumerate(alike, 1):
        found.setdefault(hashlib.sha256(row.path.read_bytes()).digest(), []).append(row)
        if progress:
            progress(done, len(alike))
    return [same for same in found.values() if len(same) > 1]
