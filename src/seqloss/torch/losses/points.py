"""Arguments of the losses of pairs and triplets, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss import contract
from seqloss.contract import Form
from seqloss.errors import wrong_dtype
from seqloss.numpy.losses.points import read_labels
from seqloss.torch._compat import is_legacy_batched, is_transformed
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.tracing import has_no_values

RowLabels: TypeAlias = torch.Tensor | npt.NDArray[np.integer] | Sequence[int]
"""One integer for each row (batch,): a tensor on any device, an array or a list."""


def read_floats(name: str, values: Any) -> torch.Tensor:
    """Convert to float32 or float64.

    Raises:
        DTypeError: not a tensor, or not of a supported floating type.
    """
    if not isinstance(values, torch.Tensor):
        raise wrong_dtype(name, type(values).__name__, "a torch.Tensor")
    if values.dtype not in COMPUTED_IN:
        raise wrong_dtype(name, values.dtype, "float16, bfloat16, float32 or float64")
    return values.to(COMPUTED_IN[values.dtype])


def as_labels(labels: Any, points: torch.Tensor) -> torch.Tensor:
    """Convert labels to a tensor on the device of the points.

    Raises:
        DTypeError, ShapeError: see `contract.check_row_labels`.
    """
    if not isinstance(labels, torch.Tensor):
        labels = torch.from_numpy(read_labels(labels, points.shape[0]).astype(np.int64))
    integers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    contract.check_row_labels(Form(tuple(labels.shape), labels.dtype, integers), points.shape[0])
    return labels.to(points.device)


def host_values(values: torch.Tensor) -> np.ndarray | None:
    """The values of a tensor if they can be read now, without waiting for a device; else None."""
    if torch.compiler.is_compiling() or values.device.type != "cpu" or torch.jit.is_tracing():
        return None
    if has_no_values(values) or is_transformed(values) or is_legacy_batched(values):
        return None
    return values.detach().resolve_neg().numpy()


def reduce_losses(losses: torch.Tensor, count: torch.Tensor | float, reduction: str, denominator: float | None) -> Any:
    """Reduce losses of pairs or triplets; `count` is what the mean divides by, at least 1."""
    if reduction == "none":
        return losses
    divisor = count if reduction == "mean" else denominator or 1.0
    return losses.sum() / divisor
