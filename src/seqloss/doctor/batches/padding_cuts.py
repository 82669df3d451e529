"""Rows with less of the padding that is recognised by its token alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, replace_parts
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.batches.trailing_tokens import find_padding_tokens, find_trailing

MOST = 2
"""Rows, those with the most padding first."""

KEPT = 1
"""Steps of padding that stay: where an end has the same token, it is part of the row."""


def find_cuts_of_batches(batches: Sequence[BatchRows]) -> list[tuple[int, Any, Any]]:
    """Those of the first batch that has some: rows of a few lengths may have too little padding in one batch."""
    known = {path: find_padding_tokens([rows.rows_first(rows.parts[path]) for rows in batches])
             for path, part in batches[0].parts.items()
             if isinstance(part, Tensor) and all(_has_rows(rows, path) for rows in batches)}  # fmt: skip
    return next((cuts for rows in batches if (cuts := find_cuts(rows, known))), [])


def _has_rows(rows: BatchRows, path: Path) -> bool:
    part = rows.parts.get(path)
    return isinstance(part, Tensor) and rows.row_axis(part) is not None


def find_cuts(rows: BatchRows, known: Mapping[Path, Collection[int]]) -> list[tuple[int, Any, Any]]:
    """(row, batch with this row, the same with less padding) for tokens that have neither lengths nor a mask.

    All parts with that many steps are cut; none is where another number than padding would be cut off.

    Args:
        rows: of the batch.
        known: path of a part -> tokens that are its padding in other batches.
    """
    tensors = {path: rows.rows_first(part) for path, part in rows.parts.items()
               if isinstance(part, Tensor) and part.dim() > 1 and rows.row_axis(part) is not None}  # fmt: skip
    found = []
    for path, tokens in tensors.items():
        trailing = (
            None if rows.padded_axis(rows.parts[path]) is not None else find_trailing(tokens, known.get(path, ()))
        )
        if trailing is None:
            continue
        axes = _axes_of_steps(tensors, tokens.shape[1])
        for row in trailing.counts.argsort(descending=True)[:MOST].tolist():
            most = min(_constant_steps(tensors[key][row], axis - 1) for key, axis in axes.items())
            cut = min(most, int(trailing.counts[row])) - KEPT
            if cut > 0:
                found.append((row, rows.take([row]), _cut(rows, row, axes, cut)))
    return found[:MOST]


def _axes_of_steps(tensors: dict[Path, Tensor], size: int) -> dict[Path, int]:
    """The axis, rows first, of each part that has so many steps."""
    found = {path: next((axis for axis in range(1, part.dim()) if part.shape[axis] == size), None)
             for path, part in tensors.items()}  # fmt: skip
    return {path: axis for path, axis in found.items() if axis is not None}


def _constant_steps(row: Tensor, axis: int) -> int:
    """How many steps at the end of a row are equal to its last one."""
    steps = row.movedim(axis, 0).flatten(1) if row.dim() > 1 else row[:, None]
    same = (steps == steps[-1]).all(1).flip(0)
    return int(same.long().cumprod(0).sum())


def _cut(rows: BatchRows, row: int, axes: dict[Path, int], steps: int) -> Any:
    new = {}
    for path, axis in axes.items():
        part = rows.parts[path]
        first = rows.rows_first(part).index_select(0, torch.tensor([row], device=part.device))
        new[path] = first.narrow(axis, 0, first.shape[axis] - steps).movedim(0, rows.row_axis(part) or 0)
    return replace_parts(rows.take([row]), new)
