"""Which rows train, validate and test.

A split column decides. Where no row validates, a tenth of the training rows does: those whose path below the
data folder has the smallest SHA-256, so that the choice is the same on every machine, with every seed. Test
rows take part in neither.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqloss.data.manifest import Row
from seqloss.errors import BadRow, DataError

NAMES = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Splits:
    """The rows of a data set, each in one list."""

    train: list[Row] = field(default_factory=list)
    validation: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)


def split_rows(rows: Sequence[Row]) -> tuple[Splits, list[BadRow]]:
    """The rows by split, and those whose split is no known name (or empty, while others have one).

    Raises:
        DataError: no row is left to train with.
    """
    splits = Splits()
    bad: list[BadRow] = []
    named = any((row.split or "").strip() for row in rows)
    for row in rows:
        given = (row.split or "").strip().lower() if named else "train"
        if given in NAMES:
            getattr(splits, NAMES[given]).append(row)
        else:
            found = f"split is {row.split!r}" if given else "no split, while other rows have one"
            bad.append(BadRow(row.file, row.row, f"{row.name}: {found}; write train, validation or test"))
    if not splits.train and not bad:
        raise DataError("no row to train with; give some rows the split 'train', or leave out the split column.")
    if not splits.validation:
        splits = hold_out(splits)
    return splits, bad


def hold_out(splits: Splits) -> Splits:
    """A tenth of the training rows, one at least if there are two, moved to validation; order is kept.

    A row stays if one of its characters stands in no other row that stays: training would never see it.
    """
    ranked = sorted(splits.train, key=lambda row: hashlib.sha256(row.name.encode()).digest())
    count = max(round(len(ranked) / 10), 1) if len(ranked) > 1 else 0
    left = Counter(character for row in ranked for character in set(row.text))
    held: set[Path] = set()
    for row in ranked:
        characters = set(row.text)
        if len(held) < count and all(left[character] > 1 for character in characters):
            held.add(row.path)
            left.subtract(characters)
    train = [row for row in splits.train if row.path not in held]
    return Splits(train, [row for row in splits.train if row.path in held], splits.test)
