"""Split rows into training, validation and test rows.

The column `split` decides. Without validation rows, a tenth of the training rows is held out for validation: those
whose path below the data folder has the smallest SHA-256. So the choice is the same on every machine and for every
seed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqloss.data.folder import SPLITS
from seqloss.data.rows import Row
from seqloss.errors import BadRow, DataError


@dataclass(frozen=True)
class Splits:
    """The rows of a data set by split.

    Attributes:
        train: training rows.
        validation: validation rows.
        test: test rows.

    Example:
        >>> from pathlib import Path
        >>> from seqloss.data import Row, Splits
        >>> splits = Splits(train=[Row("labels.csv", 2, Path("a.png"), "one", "train", "a.png")])
        >>> len(splits.train), len(splits.validation), len(splits.test)
        (1, 0, 0)
    """

    train: list[Row] = field(default_factory=list)
    validation: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)


def split_rows(rows: Sequence[Row]) -> tuple[Splits, list[BadRow]]:
    """Split rows.

    Args:
        rows: of a data set.

    Returns:
        the rows by split; and the rows whose split is unknown, or empty while other rows have one.

    Raises:
        DataError: there are no training rows.

    Example:
        >>> from pathlib import Path
        >>> rows = [Row("m.csv", n, Path(f"{n}.png"), "abc", None, f"{n}.png") for n in range(20)]
        >>> splits, bad = split_rows(rows)
        >>> len(splits.train), len(splits.validation), len(splits.test), bad
        (18, 2, 0, [])
    """
    splits = Splits()
    bad: list[BadRow] = []
    named = any((row.split or "").strip() for row in rows)
    for row in rows:
        given = (row.split or "").strip().lower() if named else "train"
        if given in SPLITS:
            getattr(splits, SPLITS[given]).append(row)
        else:
            found = f"split is {row.split!r}" if given else "no split, while other rows have one"
            bad.append(BadRow(row.file, row.row, f"{row.name}: {found}; write train, validation or test"))
    if not splits.train and not bad:
        raise DataError("no training rows; give some rows the split 'train', or remove the split column.")
    if not splits.validation:
        splits = hold_out_validation(splits)
    return splits, bad


def hold_out_validation(splits: Splits) -> Splits:
    """Move a tenth of the training rows to validation, at least one if there are two; the order is unchanged.

    A row stays in training if it has a character that no other remaining row has.
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
