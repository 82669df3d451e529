"""Rows of integers, all parts of each together, without their padding: to see whether two rows are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path
from seqloss.doctor.batches.rows import BatchRows, find_rows

Row = tuple[tuple[int, ...], ...]
"""The tokens of each part."""

TOKENS = (torch.int16, torch.int32, torch.int64)


def token_rows(batches: Sequence[object]) -> Iterator[Row]:
    """The rows of all batches; none of batches without tokens.

    A row ends before the token that rows of its part end with several times, most of them: lengths that fit one batch
    need not be those of this part in another.
    """
    found: dict[Path, list[tuple[int, ...]]] = {}
    for batch in batches:
        rows = find_rows(batch)
        for path, part in _tokens(rows) if rows else ():
            found.setdefault(path, []).extend(part)
    whole = max(map(len, found.values()), default=0)
    parts = [_without_padding(part) for part in found.values() if len(part) == whole]
    yield from (row for row in zip(*parts, strict=True) if any(row))


def _tokens(rows: BatchRows) -> Iterator[tuple[Path, list[tuple[int, ...]]]]:
    """Of each part, with its padding."""
    for path, part in rows.parts.items():
        if path in rows.concatenated:
            pieces = part.split(rows.parts[rows.concatenated[path]].tolist())
            yield path, [tuple(piece.tolist()) for piece in pieces]
        elif isinstance(part, Tensor) and part.dim() == 2 and rows.count in part.shape and part.dtype in TOKENS:
            yield path, [tuple(row) for row in (part if len(part) == rows.count else part.T).tolist()]


def _without_padding(rows: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    ends = Counter(row[-1] for row in rows if len(row) > 1 and row[-1] == row[-2])
    padding = ends.most_common(1)[0][0] if ends else None
    return [_cut(row, padding) for row in rows]


def _cut(row: tuple[int, ...], padding: int | None) -> tuple[int, ...]:
    end = len(row)
    while end and row[end - 1] == padding:
        end -= 1
    return row[:end]
