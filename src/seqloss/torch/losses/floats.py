"""Floating arguments as tensors, and the values of tensors that can be read at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqloss.errors import wrong_dtype
from seqloss.torch._compat import dispatches_operators, is_batched, transforms_are_active
from seqloss.torch.arrays import COMPUTED_IN, tensor_to_numpy
from seqloss.torch.tracing import has_no_values


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


def host_values(values: torch.Tensor) -> np.ndarray | None:
    """The values of a tensor if they can be read now, without waiting for a device; else None."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or transforms_are_active():
        return None
    if not values.is_cpu or has_no_values(values) or is_batched(values) or dispatches_operators(values):
        return None
    return tensor_to_numpy(values.detach())
