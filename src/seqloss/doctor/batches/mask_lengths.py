"""Lengths of rows from a mask of their steps."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def lengths_from_mask(mask: Tensor, others: Iterable[Tensor]) -> Tensor | None:
    """How many steps each row has.

    A mask is boolean, or has integers or floats of 0 and 1 only; padding is at the end of rows, and some row has none.
    Ones are steps in use, or padding if the other parts say so: they are constant there.

    Args:
        mask: of shape (batch, steps).
        others: tensors (batch, steps, ...) of the same batch.

    Returns:
        None if it is no mask.
    """
    if mask.dim() != 2 or not mask.numel():
        return None
    used = mask.bool()
    if mask.dtype != torch.bool and not bool((mask == used).all()):
        return None
    parts = [one for one in others if not bool((one == one[:1]).all())]  # positions are those of all rows
    plain, inverted = _first_steps(used), _first_steps(~used)
    if plain is not None and (not parts or any(is_constant_past(one, plain) for one in parts)):
        return plain
    if inverted is None or not parts or mask.dtype != torch.bool:
        return None
    return inverted if all(is_constant_past(one, inverted) for one in parts) else None


def is_constant_past(part: Tensor, lengths: Tensor) -> bool:
    """Whether a part (batch, steps, ...) has one number in all steps past the lengths, and there are some."""
    past = torch.arange(part.shape[1], device=part.device) >= lengths.to(part.device)[:, None]
    padding = part[past].flatten()
    return bool(padding.numel()) and bool((padding == padding[0]).all())


def _first_steps(used: Tensor) -> Tensor | None:
    """The number of steps in use if they come first in each row, all of them in some and not in others."""
    lengths = used.sum(1)
    first = torch.arange(used.shape[1], device=used.device) < lengths[:, None]
    different = int(lengths.max()) == used.shape[1] > int(lengths.min()) > 0
    return lengths if different and bool((first == used).all()) else None
