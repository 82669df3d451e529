"""Parts of a batch that can be the labels of its rows: integers, cut to their lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path
from seqloss.doctor.batches.rows import BatchRows


@dataclass(frozen=True)
class LabelRows:
    """Integers of each row.

    Attributes:
        path: of the part.
        rows: labels of each row, without padding.
        lengths: path of their lengths; None if the padding is below 0.
    """

    path: Path
    rows: tuple[tuple[int, ...], ...]
    lengths: Path | None = None


def find_label_rows(rows: BatchRows) -> Iterator[LabelRows]:
    """All readings of all parts; of two axes of one size, one has the lengths of the other."""
    for path, part in rows.parts.items():
        if path in rows.concatenated and part.dim() == 1:
            lengths = rows.concatenated[path]
            pieces = part.split(rows.lengths[lengths].tolist())
            yield LabelRows(path, tuple(tuple(piece.tolist()) for piece in pieces), lengths)
        elif isinstance(part, Tensor) and _are_labels(part, rows):
            part = rows.rows_first(part)
            fitting = [key for key, found in rows.lengths.items() if _fit(found, part.shape[1])]
            for key in fitting:
                sizes = rows.lengths[key].tolist()
                cut = tuple(tuple(row[:size]) for row, size in zip(part.tolist(), sizes, strict=True))
                yield LabelRows(path, cut, key)
            if not fitting:
                yield LabelRows(path, tuple(tuple(one for one in row if one >= 0) for row in part.tolist()))


def _are_labels(part: Tensor, rows: BatchRows) -> bool:
    integers = part.dtype in (torch.int16, torch.int32, torch.int64)
    return part.dim() == 2 and integers and rows.row_axis(part) is not None


def _fit(lengths: Tensor, size: int) -> bool:
    return int(lengths.max()) <= size and int(lengths.min()) >= 0 and int(lengths.max()) >= size - 1


def without_common_ends(rows: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Rows without the tokens with which all of them begin or end: those of the begin and the end of a text."""
    used = [row for row in rows if row]
    start = int(len(used) > 1 and len({row[0] for row in used}) == 1)
    end = int(len(used) > 1 and len({row[-1] for row in used}) == 1)
    return [row[start : len(row) - end] for row in rows]
