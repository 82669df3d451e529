"""The arguments and the results that all implementations of the loss of each row share."""

from __future__ import annotations

from typing import NamedTuple

import torch

from seqloss.contract import Infeasible, Reduction
from seqloss.torch.ctc.device_arguments import Given


class Options(NamedTuple):
    """The arguments of a loss that are not tensors.

    Attributes:
        name: of the public function, for messages.
        blank, normalize, infeasible, reduction, denominator, validate: see `seqloss.torch.ctc_loss`.
        gradient: SOFTMAX, POSTERIOR or EXP of `seqloss.kernels.ctc.second_derivative`.
        groups: the number of batches that vmap has merged; each is reduced for itself.
    """

    name: str
    blank: int
    normalize: bool
    infeasible: Infeasible
    reduction: Reduction
    denominator: float | None
    validate: bool
    gradient: int
    groups: int = 1


class RowTensors(NamedTuple):
    """Losses and gradients of a batch, each times the row's weight in the reduction.

    Attributes:
        losses: (batch,), float32 or float64.
        gradient: (batch, time, classes), of the type of `losses`; or without entries.
        factor: (batch, time), of the type of `losses`: the row's weight; 0 where the gradient is 0 for any upstream
            gradient, which is in frames past the length of a row, and in rows without a path.
        integers: int64 (batch, 2 + labels): the frames in use, the labels in use, and the labels of each row.
    """

    losses: torch.Tensor
    gradient: torch.Tensor
    factor: torch.Tensor
    integers: torch.Tensor


def multiply_rows(gradient: torch.Tensor, upstream: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """The gradient of each row times the upstream gradient of its loss; exactly 0 where `factor` is 0."""
    rows = upstream.to(gradient.dtype)[:, None].expand_as(factor)
    return gradient * rows.masked_fill(factor == 0.0, 0.0)[:, :, None]  # 0 times inf is NaN


def pack_integers(logits: torch.Tensor, given: Given) -> torch.Tensor:
    """The frames in use, the labels in use, and the labels of each row; see `RowTensors`."""
    sizes = (logits.shape[1], given.targets.shape[1])
    lengths = [lengths_or_whole(x, size, logits) for x, size in zip(given[1:3], sizes, strict=True)]
    return torch.cat([*(x[:, None] for x in lengths), given.targets.to(torch.int64)], 1)


def lengths_or_whole(lengths: torch.Tensor | None, whole: int, logits: torch.Tensor) -> torch.Tensor:
    """Lengths as int64; the size of the axis where none are given."""
    if lengths is None:
        return torch.full((logits.shape[0],), whole, dtype=torch.int64, device=logits.device)
    return lengths.to(torch.int64)
