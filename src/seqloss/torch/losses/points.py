"""Labels of the losses that compare the rows of a batch, as tensors; and the reduction of these losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss import contract
from seqloss.numpy.losses.points import read_labels
from seqloss.torch.ctc.device_arguments import INTEGERS

Labels: TypeAlias = torch.Tensor | npt.NDArray[np.integer] | Sequence[int]
"""One integer for each row (batch,): a tensor on any device, an array or a list."""


def as_labels(labels: Any, points: torch.Tensor, of: str = "embeddings") -> torch.Tensor:
    """Convert labels to a tensor on the device of the points, without a wait.

    Raises:
        DTypeError, ShapeError: see `contract.check_point_labels`.
    """
    if not isinstance(labels, torch.Tensor):
        labels = torch.from_numpy(read_labels(labels, points.shape[0], of).astype(np.int64))
    form = contract.Form(tuple(labels.shape), labels.dtype, labels.dtype in INTEGERS)
    contract.check_point_labels(form, points.shape[0], of)
    return labels.to(points.device, torch.int64, non_blocking=True)


def reduce_losses(losses: torch.Tensor, count: torch.Tensor | float, reduction: str, denominator: float | None) -> Any:
    """Reduce losses of points, pairs or triplets; `count` is what the mean divides by, at least 1."""
    if reduction == "none":
        return losses
    divisor = count if reduction == "mean" else denominator or 1.0
    return losses.sum() / divisor
