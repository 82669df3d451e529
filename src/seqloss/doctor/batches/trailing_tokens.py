"""Padding of tokens that have no lengths and no mask: rows end with a token that occurs nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SHARE = 0.25
"""Rows that end with it, at least; fewer can end with the same rare token by chance."""

ROWS, OF_ALL = 64, 0.1
"""Rows of all batches together, and the share of them that ends with padding."""


@dataclass(frozen=True)
class Trailing:
    """Attributes:
    value: that rows end with.
    counts: how often each row ends with it, shape (batch,).
    """

    value: int
    counts: Tensor


def find_trailing(tokens: Tensor, known: Collection[int] = ()) -> Trailing | None:
    """The padding of tokens (batch, steps); None if they have none.

    It is within no row, some row has none, and others end with it at least twice: once can be the end of a text.

    Args:
        tokens: of one batch.
        known: tokens that are padding in other batches: few rows need to end with them here.
    """
    if tokens.dim() != 2 or tokens.numel() == 0 or tokens.is_floating_point():
        return None
    for value in tokens[:, -1].unique().tolist():
        counts = _count_at_end(tokens, value)
        several = int((counts > 1).sum()) >= (1 if value in known else max(2, SHARE * len(tokens)))
        if several and bool((counts == 0).any()) and torch.equal((tokens == value).sum(1), counts):
            return Trailing(int(value), counts)
    return None


def find_padding_tokens(batches: Sequence[Tensor]) -> set[int]:
    """Tokens that are nowhere but at the end of rows in all batches (batch, steps) of a part, twice in some rows."""
    if sum(map(len, batches)) < ROWS or any(x.dim() != 2 or x.is_floating_point() or not x.numel() for x in batches):
        return set()
    found = set()
    for value in torch.cat([x[:, -1].unique() for x in batches]).unique().tolist():
        counts = [_count_at_end(x, value) for x in batches]
        ends = all(torch.equal((x == value).sum(1), count) for x, count in zip(batches, counts, strict=True))
        joined = torch.cat(counts)
        if ends and int((joined > 1).sum()) > 1 and float((joined > 0).double().mean()) >= OF_ALL:
            found.add(int(value))
    return found


def _count_at_end(tokens: Tensor, value: int) -> Tensor:
    return (tokens == value).flip(1).long().cumprod(1).sum(1)
