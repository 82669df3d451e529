"""What a model returns: the axis of its rows, and one number that depends on all of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor

from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.subject import Subject


def batch_axes(subject: Subject) -> dict[str, int]:
    """The axis of the rows in each output of floats: the one whose size follows the number of rows."""
    rows = subject.rows()
    whole = subject.call(rows.batch).outputs
    fewer = subject.call(rows.take(_all_but_one(rows))).outputs
    found = {}
    for name, tensor in whole.items():
        axis = next((axis for axis, size in enumerate(tensor.shape)
                     if size == rows.count and name in fewer and fewer[name].dim() == tensor.dim()
                     and fewer[name].shape[axis] == rows.count - 1), None)  # fmt: skip
        if axis is not None and tensor.is_floating_point():
            found[name] = axis
    return found


def _all_but_one(rows: BatchRows) -> list[int]:
    """Without a row that is not the longest one, so that other axes keep their sizes."""
    lengths = rows.lengths_of(rows.longest)
    left_out = rows.count - 1 if lengths is None else int(lengths.argmin())
    return [row for row in range(rows.count) if row != left_out]


def combine(outputs: Iterable[Tensor]) -> Tensor:
    """The sum of all entries with random weights, the same ones in each call; entries that are not finite are 0."""
    generator = torch.Generator().manual_seed(0)
    parts = [(x * torch.rand(x.shape, generator=generator).to(x)).nan_to_num().sum() for x in outputs]
    return reduce(torch.add, parts)
