"""How the parts of a batch are read, in words: a part that is read wrongly hides faults, or makes some up."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqloss.doctor.batches.parts import Path, name_part, parts_of
from seqloss.doctor.batches.rows import BatchRows


def describe_parts(batch: Any) -> dict[str, str]:
    """Name of each part -> its type and shape, the axes of its rows and of their padding.

    Example:
        >>> import torch
        >>> batch = {"x": torch.zeros(4, 9, 3), "lengths": torch.tensor([9, 7, 7, 5]), "y": torch.tensor([0, 1, 1, 0])}
        >>> describe_parts(batch)["x"]
        'float32 (4, 9, 3): rows on axis 0, padded on axis 1 to the lengths in lengths'
    """
    try:
        rows = BatchRows(batch)
    except ValueError as error:
        return {name_part(path): f"{_shape(part)}: not read: {error}" for path, part in parts_of(batch).items()}
    return {name_part(path): f"{_shape(part)}: {_role(rows, path, part)}" for path, part in rows.parts.items()}


def _shape(part: Any) -> str:
    if isinstance(part, Tensor):
        return f"{str(part.dtype).removeprefix('torch.')} {tuple(part.shape)}"
    return "packed rows" if isinstance(part, PackedSequence) else type(part).__name__


def _role(rows: BatchRows, path: Path, part: Any) -> str:
    if path in rows.concatenated:
        return f"rows one after the other, of the lengths in {name_part(rows.concatenated[path])}"
    if rows.is_length(path):
        return "lengths of rows"
    axis = rows.row_axis(part)
    if axis is None:
        return "the same for all rows"
    role = "a row each" if not isinstance(part, Tensor) or part.dim() == 1 else f"rows on axis {axis}"
    if path in rows.masks:
        return f"{role}, a mask of lengths"
    padded = rows.padded_axis(part)
    return role if padded is None else f"{role}, padded on axis {padded} to {_lengths(rows, part, padded)}"


def _lengths(rows: BatchRows, part: Tensor, axis: int) -> str:
    """Where the lengths of a padded axis are."""
    wanted = rows.row_lengths(part)
    extra = rows.extra_steps(part)
    for path, lengths in [*rows.lengths.items(), *rows.masks.items()]:
        if wanted is not None and torch.equal(lengths.to(wanted) + extra, wanted):
            return f"the lengths in {name_part(path)}{' and one step more' if extra else ''}"
    return "a fraction of the lengths of another part"
