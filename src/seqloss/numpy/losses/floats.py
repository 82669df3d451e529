"""Floating arguments, gradients that are given, and gradients that are returned, for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import contract
from seqloss.errors import ShapeError, wrong_dtype
from seqloss.numpy.arrays import COMPUTED_IN, Upstream


def read_floats(name: str, values: Any, lengths: str = "") -> tuple[np.ndarray, np.dtype[Any]]:
    """Convert to float32 or float64 without a copy where possible; also return the original type.

    Args:
        name: of the argument.
        values: an array, or nested lists.
        lengths: see `contract.as_array`.

    Raises:
        DTypeError: the element type is not a supported floating type.
        ShapeError: the rows have different lengths.
    """
    array = contract.as_array(name, values, lengths)
    if array.dtype.name not in COMPUTED_IN or not array.dtype.isnative:
        raise wrong_dtype(name, array.dtype, "float16, bfloat16, float32 or float64")
    return array.astype(COMPUTED_IN[array.dtype.name], copy=False), array.dtype


def read_upstream(upstream: Upstream | None, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of an objective with respect to a loss of this shape, float64; 1 for None.

    Raises:
        ShapeError: it is neither a number nor of the loss's shape.
    """
    found = contract.as_array("upstream", 1.0 if upstream is None else upstream).astype(np.float64)
    if found.shape not in ((), shape):
        raise ShapeError(f"upstream: expected a number or shape {shape}, the loss's, found {found.shape}.")
    return found


def as_type(gradient: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Round a gradient to the type of its argument; what a half type cannot hold becomes inf or 0."""
    with np.errstate(over="ignore", under="ignore"):
        return gradient.astype(kind, copy=False)
