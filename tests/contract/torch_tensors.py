"""NumPy arrays as PyTorch tensors, with the arrays' own memory where their type allows it."""

from __future__ import annotations

import warnings
from typing import Any

import ml_dtypes
import numpy as np
import torch


def share(array: np.ndarray) -> torch.Tensor:
    """A tensor over the array's own memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        if array.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


def as_floats(values: Any, dtype: str) -> torch.Tensor:
    """A tensor of a floating type, by name."""
    array = np.asarray(values)
    if array.dtype.kind != "f" and array.dtype != ml_dtypes.bfloat16:
        array = array.astype(np.float64)
    return share(array).to(getattr(torch, dtype))


def share_arrays(values: Any) -> Any:
    """Arrays as tensors, as people have them; lists and options as they are."""
    return share(values) if isinstance(values, np.ndarray) else values
