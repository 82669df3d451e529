"""Check rows in several threads, and collect all invalid rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from seqloss.data.rows import Row
from seqloss.errors import BadRow

Checked = TypeVar("Checked")


def check_in_threads(
    rows: Sequence[Row],
    bad: Sequence[BadRow],
    check: Callable[[Row], Checked | BadRow],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Checked], list[BadRow]]:
    """Check every row.

    Args:
        rows: to check.
        bad: invalid rows that are known already.
        check: makes an item of a row, or says why it is invalid.
        progress: called with (rows checked, all rows), from the calling thread.

    Returns:
        the items in order, and all invalid rows, those of `bad` included, in the order of their files.
    """
    items: list[Checked] = []
    found = list(bad)
    with ThreadPoolExecutor(count_cpus()) as pool:
        for done, result in enumerate(pool.map(check, rows), 1):
            if isinstance(result, BadRow):
                found.append(result)
            else:
                items.append(result)
            if progress:
                progress(done, len(rows))
    return items, in_file_order(found)


def in_file_order(bad: Sequence[BadRow]) -> list[BadRow]:
    """Invalid rows in the order of their files and lines."""
    return sorted(bad, key=lambda row: (row.file, row.row or 0))


def count_cpus() -> int:
    """The number of processors available, at most 8: more would wait for the disk."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, allowed or 1)
