"""Several batches as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.batch_parts import Path, map_batch
from seqloss.doctor.batch_rows import BatchRows, padding_of, size_of


def join_batches(batches: Sequence[Any]) -> Any:
    """One batch with the rows of several; shorter ones are padded as each is padded itself.

    Raises:
        ValueError: rows are not recognised, or parts do not fit together.
    """
    all_rows = [BatchRows(batch) for batch in batches]

    def join(path: Path, part: Any) -> Any:
        parts = [rows.parts[path] for rows in all_rows]
        if isinstance(part, Tensor) and path in all_rows[0].concatenated:
            return torch.cat(parts)
        if size_of(part) != all_rows[0].count:
            return part
        if not isinstance(part, Tensor):
            return type(part)(one for part in parts for one in part)
        sizes = [max(one.shape[axis] for one in parts) for axis in range(1, part.dim())]
        return torch.cat([_padded(rows, one, sizes) for rows, one in zip(all_rows, parts, strict=True)])

    if any(rows.parts.keys() != all_rows[0].parts.keys() for rows in all_rows):
        raise ValueError("the batches have different parts")
    return map_batch(batches[0], join)


def _padded(rows: BatchRows, part: Tensor, sizes: Sequence[int]) -> Tensor:
    shape = (part.shape[0], *sizes)
    if part.shape == shape:
        return part
    axis = rows.padded_axis(part)
    lengths = None if axis is None else rows.lengths_of(part.shape[axis])
    if axis is not None and lengths is not None:
        fill = padding_of(part, axis, lengths)
    else:  # what most rows end with
        fill = part.flatten(1)[:, -1].mode().values.item() if part.numel() and not part.is_floating_point() else 0
    found = torch.full(shape, fill, dtype=part.dtype, device=part.device)
    found[tuple(slice(size) for size in part.shape)] = part
    return found
