"""The padding of batches of uneven rows."""

from __future__ import annotations

import torch
from torch import Tensor

from seqloss.errors import ShapeError, wrong_length


def within_lengths(rows: Tensor, lengths: Tensor) -> Tensor:
    """True outside of the padding: (batch, time), on the device of the rows (batch, time, ...)."""
    return torch.arange(rows.shape[1], device=rows.device) < lengths.to(rows.device)[:, None]


def mask_padding(rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows with 0 in the padding, whatever it held.

    Args:
        rows: (batch, time) or (batch, time, features).
        lengths: (batch,), of the rows in time.
    """
    used = within_lengths(rows, lengths)
    return torch.where(used if rows.dim() == 2 else used[:, :, None], rows, 0)


def reverse_within_lengths(rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows (batch, time, features), each read from its last step to its first; the padding stays where it is."""
    steps = torch.arange(rows.shape[1], device=rows.device)
    from_end = lengths.to(rows.device)[:, None] - 1 - steps
    return rows.gather(1, torch.where(from_end >= 0, from_end, steps)[:, :, None].expand_as(rows))


def check_lengths(lengths: Tensor, batch: int, limit: int, axis: str) -> Tensor:
    """The lengths as int64.

    Raises:
        ShapeError: not one per row.
        LengthError: outside of 0 to the limit.
    """
    if lengths.shape != (batch,):
        raise ShapeError(f"lengths: expected shape ({batch},), one for each row, found {tuple(lengths.shape)}.")
    if lengths.device.type == "cpu":  # those on an accelerator are not waited for
        for row, length in enumerate(lengths.tolist()):
            if not 0 <= length <= limit:
                raise wrong_length("lengths", row, length, limit, axis)
    return lengths.long()
