"""The padding of batches of uneven rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloss.errors import ShapeError, float_lengths, wrong_dtype, wrong_length


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


def as_lengths(lengths: Tensor | Sequence[int], batch: int, limit: int, axis: str) -> Tensor:
    """The lengths as int64, on their device; their values are not checked.

    Raises:
        ShapeError: not one per row.
        DTypeError: no integers.
    """
    given = lengths if isinstance(lengths, Tensor) else _as_tensor(lengths)
    if given.shape != (batch,):
        raise ShapeError(f"lengths: expected shape ({batch},), one for each row, found {tuple(given.shape)}.")
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise float_lengths("lengths", given.dtype, axis, limit, maybe_fractions=given.is_floating_point())
    return given.long()


def _as_tensor(lengths: Sequence[int]) -> Tensor:
    try:
        given = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise wrong_dtype(
            "lengths", f"{lengths!r:.60}", "integers, one for each row", "give a tensor or a list"
        ) from None
    return given if given.numel() else given.long()  # an empty list has no type


def check_lengths(lengths: Tensor | Sequence[int], batch: int, limit: int, axis: str) -> Tensor:
    """The lengths as int64.

    Raises:
        ShapeError: not one per row.
        DTypeError: no integers.
        LengthError: outside of 0 to the limit.
    """
    checked = as_lengths(lengths, batch, limit, axis)
    if checked.device.type == "cpu":  # those on an accelerator are not waited for
        for row, length in enumerate(checked.tolist()):
            if not 0 <= length <= limit:
                raise wrong_length("lengths", row, length, limit, axis)
    return checked
