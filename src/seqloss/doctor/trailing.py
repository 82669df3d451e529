"""Padding of tokens that have no lengths and no mask: rows end with a token that occurs nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SHARE = 0.25
"""Rows that end with it, at least; fewer can end with the same rare token by chance."""


@dataclass(frozen=True)
class Trailing:
    """Attributes:
    value: that rows end with.
    counts: how often each row ends with it, shape (batch,).
    """

    value: int
    counts: Tensor


def find_trailing(tokens: Tensor) -> Trailing | None:
    """The padding of tokens (batch, steps); None if they have none.

    It is within no row, some row has none, and others end with it at least twice: once can be the end of a text.
    """
    if tokens.dim() != 2 or tokens.numel() == 0 or tokens.is_floating_point():
        return None
    for value in tokens[:, -1].unique().tolist():
        here = tokens == value
        counts = here.flip(1).long().cumprod(1).sum(1)
        several = int((counts > 1).sum()) >= max(2, SHARE * len(tokens))
        if several and bool((counts == 0).any()) and torch.equal(here.sum(1), counts):
            return Trailing(int(value), counts)
    return None
