"""Triplets that the caller picked: row numbers of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.errors import LabelError, ShapeError, wrong_dtype, wrong_rank
from seqloss.torch.ctc.device_arguments import INTEGERS
from seqloss.torch.losses.floats import host_values

PARTS = ("anchor", "positive", "negative")


def read_triplets(triplets: Sequence[Any], embeddings: torch.Tensor) -> list[torch.Tensor]:
    """Row numbers of anchors, positives and negatives, int64 on the device of the embeddings, without a wait.

    Raises:
        ShapeError: they are not three of one axis and of one size.
        DTypeError: they are no integers.
        LabelError: a number outside of 0 to batch - 1, where the values can be read.
    """
    if len(triplets) != 3:
        raise ShapeError(
            f"triplets: expected (anchor, positive, negative), found {len(triplets)} parts; pair miners "
            "return four: take a triplet miner."
        )
    parts = [_read_part(f"triplets: {name}", part) for name, part in zip(PARTS, triplets, strict=True)]
    for name, part in zip(PARTS, parts, strict=True):
        if part.shape[0] != parts[0].shape[0]:
            raise ShapeError(
                f"triplets: {name}: expected {parts[0].shape[0]} row numbers, one for each anchor, found "
                f"{part.shape[0]}; each triplet has one of each."
            )
        _check_range(f"triplets: {name}", part, embeddings.shape[0])
    return [part.to(embeddings.device, torch.int64, non_blocking=True) for part in parts]


def _read_part(name: str, part: Any) -> torch.Tensor:
    rows = part if isinstance(part, torch.Tensor) else torch.from_numpy(contract.as_integer_array(name, part))
    if rows.dtype not in INTEGERS:
        advice = "of a mask, give mask.nonzero()[:, 0]" if rows.dtype == torch.bool else "convert it before the call"
        raise wrong_dtype(name, rows.dtype, "integers, the numbers of rows", advice)
    if rows.dim() != 1:
        raise wrong_rank(name, rows.shape, "(triplets,)")
    return rows


def _check_range(name: str, rows: torch.Tensor, batch: int) -> None:
    numbers = host_values(rows)
    if numbers is None:
        return
    wrong = np.flatnonzero((numbers < 0) | (numbers >= batch))
    if wrong.size:
        raise LabelError(
            f"{name}[{wrong[0]}]: found row {numbers[wrong[0]]}, expected 0 to {batch - 1} for {batch} rows of "
            "embeddings; pick the triplets from this batch."
        )
