"""The rows of a batch, and what its parts hold for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqloss.doctor.batches.mask_lengths import is_constant_past, lengths_from_mask
from seqloss.doctor.batches.packed_rows import pack_rows, unpack_rows
from seqloss.doctor.batches.parts import Path, map_batch, parts_of
from seqloss.doctor.batches.row_axes import count_rows, possible_axes
from seqloss.doctor.batches.subsampling import Subsampling, find_subsampling


def find_rows(batch: Any) -> BatchRows | None:
    """The rows of a batch; None if they are not recognised."""
    try:
        return BatchRows(batch)
    except ValueError:
        return None


class BatchRows:
    """Takes rows out of a batch.

    The size of the batch is the one on which most parts agree. A part with that size on its first axis, its second one
    (time first) or its last has one entry for each row. A tensor whose size is the sum of another part's integers holds
    rows one after the other, such as the concatenated targets of CTC. All other parts belong to the whole batch.

    Args:
        batch: of two rows or more.

    Raises:
        ValueError: the batch has no tensor with rows.
    """

    def __init__(self, batch: Any) -> None:
        self.batch, self.parts = batch, parts_of(batch)
        self.count = count_rows(self.parts.values())
        self.lengths = {
            path: integers for path, part in self.parts.items()
            if (integers := _integers(part, self.count)) is not None
        }  # fmt: skip
        self.masks: dict[Path, Tensor] = {}
        self.subsampled: dict[int, Subsampling] = {}
        self.masks = dict(self._find_masks())
        self.subsampled = dict(self._find_subsampled())
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
                joined = part.split(self.lengths[self.concatenated[path]].tolist())
                return torch.cat([joined[row] for row in places])
            axis = self.row_axis(part)
            if axis is None:
                return part
            if isinstance(part, Tensor):
                taken = part.index_select(axis, torch.tensor(places, device=part.device))
                return self._trim(taken, part, places) if trim else taken
            if isinstance(part, PackedSequence):
                pieces = unpack_rows(part)
                return pack_rows([pieces[row] for row in places])
            return type(part)(part[row] for row in places)

        return map_batch(self.batch, change)

    def pad(self, steps: int) -> Any:
        """The batch with axes that were padded to the longest row some steps longer, filled as their padding is."""

        def change(path: Path, part: Any) -> Any:
            axis = self.padded_axis(part)
            if axis is None or path in self.concatenated:
                return part
            shape = list(part.shape)
            fewer = self.subsampled.get(shape[axis])
            shape[axis] = fewer.steps(int(fewer.lengths.max()) + steps) - shape[axis] if fewer else steps
            more = torch.full(shape, self.padding_of(part), dtype=part.dtype, device=part.device)
            return torch.cat([part, more], axis)

        return map_batch(self.batch, change)

    def take_content(self, part: Tensor, order: Sequence[int]) -> Tensor:
        """A part with the steps of other rows, repeated or cut so that each row keeps its own length."""
        rows = self.row_axis(part) or 0
        first = part.movedim(rows, 0)
        found = exchange_content(first, order, self._padded_axis_rows_first(part), self.row_lengths(part))
        return found.movedim(0, rows)

    @property
    def has_padded_axes(self) -> bool:
        return any(self.padded_axis(part) is not None for part in self.parts.values())

    def row_axis(self, part: Any) -> int | None:
        """The axis of the rows; 0 for a list or packed rows with one entry for each row, None without rows.

        Of two axes with as many entries as there are rows, it is the one beside which rows have padding.
        """
        axes = possible_axes(part, self.count)
        if len(axes) > 1 and not self._is_padded_beside(part, axes[0]):
            return next((axis for axis in axes[1:] if self._is_padded_beside(part, axis)), axes[0])
        return axes[0] if axes else None

    def rows_first(self, part: Tensor) -> Tensor:
        """A part with rows on its first axis."""
        return part.movedim(self.row_axis(part) or 0, 0)

    def _is_padded_beside(self, part: Tensor, rows: int) -> bool:
        lengths = self.lengths_of(self.count)
        if lengths is None:
            return False
        first = part.movedim(rows, 0)
        return any(is_constant_past(first.movedim(axis, 1), lengths)
                   for axis in range(1, part.dim()) if first.shape[axis] == self.count)  # fmt: skip

    def _find_masks(self) -> list[tuple[Path, Tensor]]:
        """Lengths from masks, where no part has these lengths."""
        tensors = {path: self.rows_first(part) for path, part in self.parts.items()
                   if isinstance(part, Tensor) and part.dim() > 1 and self.row_axis(part) is not None}  # fmt: skip
        found = []
        for path, part in tensors.items():
            if part.dim() != 2 or self.lengths_of(part.shape[1]) is not None:
                continue
            others = [one for key, one in tensors.items() if key != path and one.shape[1] == part.shape[1]]
            lengths = lengths_from_mask(part, others)
            if lengths is not None:
                found.append((path, lengths))
        return found

    def _find_subsampled(self) -> list[tuple[int, Subsampling]]:
        """By size of an axis, for labels (batch, steps) that have no lengths of their own."""
        found = []
        for part in self.parts.values():
            if not isinstance(part, Tensor) or part.dim() != 2 or self.row_axis(part) is None:
                continue
            steps = self.rows_first(part)
            if self.padded_axis(part) is None and (one := find_subsampling(steps, 1, self._all_lengths())):
                found.append((steps.shape[1], one))
        return found

    def _rows_one_by_one(self, part: Any) -> Path | None:
        """The path of their lengths."""
        if not isinstance(part, Tensor) or not part.dim() or self.row_axis(part) is not None:
            return None
        if part.dim() == 1 and part.is_floating_point():
            return None
        return next((path for path, lengths in self.lengths.items()
                     if int(lengths.sum()) == len(part) and int(lengths.min()) >= 0), None)  # fmt: skip

    def padded_axis(self, part: Any) -> int | None:
        """The axis whose size is the largest of some lengths; of several, one with padding past the lengths."""
        if not isinstance(part, Tensor) or part.dim() < 2:
            return None
        rows = self.row_axis(part)
        if rows is None:
            return None
        axes = [axis for axis in range(part.dim()) if axis != rows and self.lengths_of(part.shape[axis]) is not None]
        if part.dim() == 4:
            axes.reverse()
        if len(axes) > 1:
            return next((axis for axis in axes if self._is_padded_along(part, rows, axis)), axes[0])
        return axes[0] if axes else (1 - rows if self.extra_steps(part) else None)

    def _is_padded_along(self, part: Tensor, rows: int, axis: int) -> bool:
        lengths = self.lengths_of(part.shape[axis])
        return lengths is not None and is_constant_past(part.movedim((rows, axis), (0, 1)), lengths)

    def _padded_axis_rows_first(self, part: Tensor) -> int | None:
        """The padded axis when rows come first."""
        rows, axis = self.row_axis(part), self.padded_axis(part)
        return axis + 1 if rows is not None and axis is not None and axis < rows else axis

    def padding_of(self, part: Tensor) -> Any:
        """The number that a part is padded with; 0 if there is no padding, or not one number in all of it."""
        rows, axis, lengths = self.row_axis(part), self.padded_axis(part), self.row_lengths(part)
        if rows is None or axis is None or lengths is None:
            return 0
        steps = part.movedim((rows, axis), (0, 1))
        past = torch.arange(steps.shape[1], device=part.device) >= lengths.to(part.device)[:, None]
        return steps[past].flatten()[0].item() if is_constant_past(steps, lengths) else 0

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
        if part.dim() != 2 or part.dtype in (torch.uint8, torch.bool) or part.is_floating_point():
            return 0
        size = self.rows_first(part).shape[1]
        return int(self.lengths_of(size) is None and self.lengths_of(size - 1) is not None)

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
        sizes = {size for one in self.parts.values() if isinstance(one, Tensor) and one.dim() > 1
                 for size in self.rows_first(one).shape[1:]}  # fmt: skip
        return int(part.max()) in sizes or path in self.concatenated.values()

    def lengths_of(self, size: int) -> Tensor | None:
        """The lengths whose largest is the size of an axis, or of which it has a fraction."""
        found = next((one for one in self._all_lengths() if int(one.max()) == size and int(one.min()) >= 0), None)
        return self.subsampled[size].row_lengths() if found is None and size in self.subsampled else found

    def _all_lengths(self) -> list[Tensor]:
        return [*self.lengths.values(), *self.masks.values()]

    def _trim(self, taken: Tensor, part: Tensor, rows: list[int]) -> Tensor:
        axis = self.padded_axis(part)
        if axis is None:
            return taken
        extra = self.extra_steps(part)
        fewer = self.subsampled.get(part.shape[axis])
        longest = [  # two lengths can have the same largest one: no step that one of them counts is cut off
            int(lengths[rows].max()) + extra
            for lengths in self._all_lengths() if int(lengths.max()) == part.shape[axis] - extra
        ] or ([int(fewer.row_lengths()[rows].max())] if fewer else [])  # fmt: skip
        return taken.narrow(axis, 0, max(1, *longest))


def _integers(part: Any, count: int) -> Tensor | None:
    """One integer for each row: a tensor, also with a second axis of one entry, or a list."""
    if isinstance(part, list | tuple) and len(part) == count and all(type(one) is int for one in part):
        return torch.tensor(part)
    if not isinstance(part, Tensor) or part.is_floating_point() or part.dtype == torch.bool:
        return None
    return part.flatten() if part.shape in ((count,), (count, 1)) else None


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
