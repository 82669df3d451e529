"""Differences of successive steps, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqloss.errors import wrong_dtype, wrong_rank
from seqloss.torch.nn.padding import mask_padding
from seqloss.torch.nn.uneven_rows import read_rows


class Differences(NamedTuple):
    """Differences of successive steps, from which the rows can be computed again. `difference` makes them.

    Attributes:
        values: (batch, time - 1, features), each step minus the one before; 0 in the padding.
        lengths: of the rows of `values`: one less than those of the rows, at least 0. None without padding.
        first: (batch, features), the first step of each row; 0 for a row of length 0.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import difference
        >>> found = difference(torch.tensor([[[1.0], [4.0], [9.0]]]))
        >>> found.values[..., 0].tolist(), found.first.tolist()
        ([[3.0, 5.0]], [[1.0]])
        >>> found.undo(2 * found.values)[..., 0].tolist()  # other differences from the same first step
        [[1.0, 7.0, 17.0]]
    """

    values: Tensor
    lengths: Tensor | None
    first: Tensor

    def undo(self, values: Tensor | None = None) -> Tensor:
        """The rows: the first step, and the sum of the differences up to each further step.

        Args:
            values: other differences of this shape, such as reconstructed ones; None for its own.

        Returns:
            Rows (batch, time, features), 0 in the padding; those given to `difference`, except for rounding.

        Raises:
            ShapeError: the values have another shape.
        """
        given = self.values if values is None else values
        if given.shape != self.values.shape:
            raise wrong_rank("values", given.shape, f"that of the differences, {tuple(self.values.shape)}")
        if self.lengths is None:
            return torch.cat([self.first[:, None], given], dim=1).cumsum(1)
        used = mask_padding(given, self.lengths)
        return mask_padding(torch.cat([self.first[:, None], used], dim=1).cumsum(1), self.lengths + 1)


def difference(padded: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Differences:
    """Differences of successive steps of padded rows. A slow trend is easier to learn as differences.

        values[t] = padded[t + 1] - padded[t],    padded[t] = first + values[0] + ... + values[t - 1]

    The padding is never read: it may hold NaN, and its gradient is exactly 0. A row of length 0 or 1 has no
    differences.

    Args:
        padded: (batch, time, features), any floating type, time of at least 1.
        lengths: steps of each row, integers (batch,), on any device; None for all steps.

    Returns:
        `Differences`, whose `undo` gives the rows.

    Raises:
        ShapeError: the rows have another rank or no steps, or there is not one length per row.
        DTypeError: rows that are no floats, because differences of integers can overflow; or lengths that are no
            integers.
        LengthError: a length outside of the time axis. Lengths on an accelerator, and traced ones, are not checked:
            such a row gets NaN.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import difference
        >>> rows = torch.tensor([[[1.0], [4.0], [9.0]], [[2.0], [3.0], [torch.nan]]])
        >>> found = difference(rows, torch.tensor([3, 2]))
        >>> found.values[..., 0].tolist(), found.lengths.tolist(), found.first[:, 0].tolist()
        ([[3.0, 5.0], [1.0, 0.0]], [2, 1], [1.0, 2.0])
        >>> found.undo()[..., 0].tolist()
        [[1.0, 4.0, 9.0], [2.0, 3.0, 0.0]]
    """
    if padded.dim() != 3 or not padded.shape[1]:
        raise wrong_rank("padded", padded.shape, "(batch, time, features) with at least one step")
    if not padded.is_floating_point():
        raise wrong_dtype("padded", padded.dtype, "floats", "differences of integers can overflow: padded.float()")
    rows = read_rows(padded, lengths)
    if lengths is None:
        return Differences(padded[:, 1:] - padded[:, :-1], None, padded[:, 0])
    steps = padded.new_full((len(padded),), rows.steps, dtype=torch.long) if rows.lengths is None else rows.lengths
    kept = mask_padding(padded, steps)
    left = (steps - 1).clamp(min=0)
    return Differences(rows.spoil(mask_padding(kept[:, 1:] - kept[:, :-1], left), 0), left, rows.spoil(kept[:, 0], 0))
