"""Several batches as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqloss.doctor.batches.packed_rows import pack_rows, unpack_rows
from seqloss.doctor.batches.parts import Path, map_batch
from seqloss.doctor.batches.rows import BatchRows


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
        axis = all_rows[0].row_axis(part)
        if axis is None:
            return part
        if isinstance(part, PackedSequence):
            return pack_rows([row for one in parts for row in unpack_rows(one)])
        if not isinstance(part, Tensor):
            return type(part)(one for part in parts for one in part)
        sizes = [max(one.shape[n] for one in parts) for n in range(part.dim())]
        return torch.cat(
            [_padded(rows, one, axis, sizes) for rows, one in zip(all_rows, parts, strict=True)], axis
        )  # fmt: skip

    if any(rows.parts.keys() != all_rows[0].parts.keys() for rows in all_rows):
        raise ValueError("the batches have different parts")
    return map_batch(batches[0], join)


def _padded(rows: BatchRows, part: Tensor, row_axis: int, sizes: Sequence[int]) -> Tensor:
    shape = list(sizes)
    shape[row_axis] = part.shape[row_axis]
    if list(part.shape) == shape:
        return part
    if rows.padded_axis(part) is not None:
        fill = rows.padding_of(part)
    else:  # what most rows end with
        ends = part.movedim(row_axis, 0).flatten(1)[:, -1]
        fill = ends.mode().values.item() if part.numel() and not part.is_floating_point() else 0
    found = torch.full(shape, fill, dtype=part.dtype, device=part.device)
    found[tuple(slice(size) for size in part.shape)] = part
    return found
