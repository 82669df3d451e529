"""The rows of a batch, and what its parts hold for each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.batch_parts import Path, map_batch, parts_of


def find_rows(batch: Any) -> BatchRows | None:
    """The rows of a batch; None if they are not recognised."""
    try:
        return BatchRows(batch)
    except ValueError:
        return None


class BatchRows:
    """Takes rows out of a batch.

    The size of the batch is the commonest size of the first axis. A part with that size has one entry for each row. A
    tensor of one axis whose size is the sum of another part's integers holds rows one after the other, such as the
    concatenated targets of CTC. All other parts belong to the whole batch.

    Args:
        batch: of two rows or more.

    Raises:
        ValueError: no two parts agree on the number of rows, and there is more than one part.
    """

    def __init__(self, batch: Any) -> None:
        self.batch, self.parts = batch, parts_of(batch)
        sizes = Counter(size for part in self.parts.values() if (size := size_of(part)) is not None)
        if not sizes:
            raise ValueError("the batch has no tensor with rows")
        self.count = max(sizes, key=lambda size: (sizes[size], -list(sizes).index(size)))
        self.lengths = {
            path: part for path, part in self.parts.items()
            if isinstance(part, Tensor) and part.shape == (self.count,) and not part.is_floating_point()
            and part.dtype != torch.bool
        }  # fmt: skip
        self.concatenated = {path: found for path, part in self.parts.items() if (found := self._rows_one_by_one(part))}

    def take(self, rows: Sequence[int], *, trim: bool = False) -> Any:
        """A batch of some rows, in that order.

        Args:
            rows: their numbers; they may repeat.
            trim: cut axes that were padded to the longest of these rows.
        """
        places = list(rows)

        def change(path: Path, part: Any) -> Any:
            if path in self.concatenated:
                pieces = part.split(self.parts[self.concatenated[path]].tolist())
                return torch.cat([pieces[row] for row in places])
            if size_of(part) != self.count:
                return part
            if isinstance(part, Tensor):
                return self._trim(part[places], part, places) if trim else part[places]
            return type(part)(part[row] for row in places)

        return map_batch(self.batch, change)

    def pad(self, steps: int) -> Any:
        """The batch with axes that were padded to the longest row some steps longer, filled as their padding is."""

        def change(path: Path, part: Any) -> Any:
            axis, lengths = self.padded_axis(part), self.row_lengths(part)
            if axis is None or lengths is None or path in self.concatenated:
                return part
            shape = list(part.shape)
            shape[axis] = steps
            more = torch.full(shape, padding_of(part, axis, lengths), dtype=part.dtype, device=part.device)
            return torch.cat([part, more], axis)

        return map_batch(self.batch, change)

    def take_content(self, part: Tensor, order: Sequence[int]) -> Tensor:
        """A part with the steps of other rows, repeated or cut so that each row keeps its own length."""
        return exchange_content(part, order, self.padded_axis(part), self.row_lengths(part))

    @property
    def has_padded_axes(self) -> bool:
        return any(self.padded_axis(part) is not None for part in self.parts.values())

    def _rows_one_by_one(self, part: Any) -> Path | None:
        if not isinstance(part, Tensor) or part.dim() != 1 or part.is_floating_point() or len(part) == self.count:
            return None
        return next((path for path, lengths in self.lengths.items() if int(lengths.sum()) == len(part)), None)

    def padded_axis(self, part: Any) -> int | None:
        """The axis whose size is the largest of some lengths."""
        if not isinstance(part, Tensor) or part.dim() < 2 or size_of(part) != self.count:
            return None
        for axis in range(part.dim() - 1, 0, -1) if part.dim() == 4 else range(1, part.dim()):
            if self.lengths_of(part.shape[axis]) is not None:
                return axis
        return 1 if self.extra_steps(part) else None

    def row_lengths(self, part: Any) -> Tensor | None:
        """The lengths of the rows along the axis that was padded, extra steps included; None without such an axis."""
        axis = self.padded_axis(part)
        if axis is None:
            return None
        extra = self.extra_steps(part)
        lengths = self.lengths_of(part.shape[axis] - extra)
        return None if lengths is None else lengths + extra

    def extra_steps(self, part: Tensor) -> int:
        """1 if integers of each row have a token more than their lengths say, as for a begin or an end; else 0."""
        if (
            part.dim() != 2
            or part.dtype == torch.uint8
            or part.is_floating_point()
            or self.lengths_of(part.shape[1]) is not None
        ):
            return 0
        return int(self.lengths_of(part.shape[1] - 1) is not None)

    @property
    def longest(self) -> int:
        """The largest length of the longest axis that was padded; 0 if there is none."""
        sizes = [part.shape[axis] - self.extra_steps(part)
                 for part in self.parts.values() if (axis := self.padded_axis(part)) is not None]  # fmt: skip
        return max(sizes, default=0)

    @property
    def padded_share(self) -> float:
        """Share of padding in the longest axis that was padded."""
        lengths = self.lengths_of(self.longest)
        return 0.0 if lengths is None or not self.longest else 1 - float(lengths.double().mean()) / self.longest

    def is_length(self, path: Path) -> bool:
        """Whether a part holds the lengths of another one."""
        part = self.lengths.get(path)
        if part is None:
            return False
        sizes = {
            size for one in self.parts.values() if isinstance(one, Tensor) and one.dim() > 1 for size in one.shape[1:]
        }
        return int(part.max()) in sizes or path in self.concatenated.values()

    def lengths_of(self, size: int) -> Tensor | None:
        """The lengths whose largest is the size of an axis."""
        return next((one for one in self.lengths.values() if int(one.max()) == size and int(one.min()) >= 0), None)

    def _trim(self, taken: Tensor, part: Tensor, rows: list[int]) -> Tensor:
        axis = self.padded_axis(part)
        if axis is None:
            return taken
        extra = self.extra_steps(part)
        longest = [  # two lengths can have the same largest one: no step that one of them counts is cut off
            int(lengths[rows].max()) + extra
            for lengths in self.lengths.values() if int(lengths.max()) == part.shape[axis] - extra
        ]  # fmt: skip
        return taken.narrow(axis, 0, max(1, *longest))


def exchange_content(tensor: Tensor, order: Sequence[int], axis: int | None, lengths: Tensor | None) -> Tensor:
    """The rows of a tensor in another order; each row keeps its own length.

    Args:
        tensor: rows first.
        order: the row that comes to each place.
        axis: of steps; None if rows have no lengths.
        lengths: of the rows along this axis.
    """
    if axis is None or lengths is None:
        return tensor[list(order)]
    found = tensor.clone()
    for row, other in enumerate(order):
        own, theirs = int(lengths[row]), int(lengths[other])
        if own and theirs:
            steps = torch.arange(own, device=tensor.device) % theirs
            found[row].narrow(axis - 1, 0, own).copy_(tensor[other].index_select(axis - 1, steps))
    return found


def size_of(part: Any) -> int | None:
    """Of the first axis."""
    if isinstance(part, Tensor):
        return part.shape[0] if part.dim() else None
    return len(part) if isinstance(part, list | tuple) else None


def padding_of(part: Tensor, axis: int, lengths: Tensor) -> Any:
    """The number that a part is padded with; 0 if there is no padding, or not one number in all of it."""
    past = torch.arange(part.shape[axis], device=part.device) >= lengths.to(part.device)[:, None]
    padding = part.movedim(axis, 1)[past].flatten()
    return padding[0].item() if padding.numel() and bool((padding == padding[0]).all()) else 0
