"""The inputs of floats of a batch, row by row, without their padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, name_part
from seqloss.doctor.batches.rows import find_rows

LEAST = 8
"""Values that a row has at least; fewer are a label or a weight."""


@dataclass(frozen=True)
class InputRows:
    """One part of a batch.

    Attributes:
        path: of the part.
        rows: the values of each row, up to its length, as (steps, ...).
        has_steps: whether lengths say which axis holds the steps.
    """

    path: Path
    rows: tuple[Tensor, ...]
    has_steps: bool

    @property
    def name(self) -> str:
        return name_part(self.path)


def find_input_rows(batch: object) -> Iterator[InputRows]:
    """The parts of floats, or of bytes; none if rows are not recognised. Masks of 0 and 1 are no inputs."""
    rows = find_rows(batch)
    if rows is None:
        return
    for path, part in rows.parts.items():
        if not isinstance(part, Tensor) or part.dim() < 2 or rows.row_axis(part) is None or path in rows.concatenated:
            continue
        is_input = part.is_floating_point() or part.dtype == torch.uint8
        if not is_input or part.numel() < LEAST * rows.count or _is_mask(part):
            continue
        axis, lengths = rows.padded_axis(part), rows.row_lengths(part)
        if axis is None or lengths is None:
            yield InputRows(path, tuple(rows.rows_first(part).detach().cpu()), False)
            continue
        steps = part.detach().cpu().movedim((rows.row_axis(part) or 0, axis), (0, 1))
        cut = tuple(row[:length] for row, length in zip(steps, lengths.tolist(), strict=True))
        yield InputRows(path, cut, True)


def _is_mask(part: Tensor) -> bool:
    return part.dim() == 2 and bool(((part == 0) | (part == 1)).all())
