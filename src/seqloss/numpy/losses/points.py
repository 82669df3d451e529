"""Arguments of the losses of pairs and triplets, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.errors import ShapeError, uneven_rows, wrong_dtype
from seqloss.numpy.arrays import COMPUTED_IN, Upstream

Points: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): an array, or nested lists. `np.generic`, because bfloat16 is no `np.floating`."""

RowLabels: TypeAlias = npt.NDArray[np.integer] | Sequence[int]
"""One integer for each row (batch,)."""


def read_floats(name: str, values: Any) -> tuple[np.ndarray, np.dtype[Any]]:
    """Convert to float32 or float64 without a copy where possible; also return the original type.

    Raises:
        DTypeError: the element type is not a supported floating type.
        ShapeError: the rows have different lengths.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise uneven_rows(name) from None
    if array.dtype.name not in COMPUTED_IN or not array.dtype.isnative:
        raise wrong_dtype(name, array.dtype, "float16, bfloat16, float32 or float64")
    return array.astype(COMPUTED_IN[array.dtype.name], copy=False), array.dtype


def read_labels(labels: Any, batch: int | None) -> np.ndarray:
    """Convert labels to an array of integers, one for each row.

    Raises:
        DTypeError, ShapeError: see `contract.check_row_labels`.
    """
    try:
        array = np.asarray(labels)
    except ValueError:
        raise uneven_rows("labels") from None
    if array.size == 0 and not hasattr(labels, "dtype"):  # an empty list
        array = array.astype(np.int64)
    contract.check_row_labels(contract.form_of(array.dtype, array.shape), batch)
    return array


def read_upstream(upstream: Upstream | None, shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
    """The gradient of an objective with respect to a loss of this shape; 1 for None.

    Raises:
        ShapeError: it is neither a number nor of the loss's shape.
    """
    found = np.asarray(1.0 if upstream is None else upstream, np.float64)
    if found.shape not in ((), shape):
        raise ShapeError(f"upstream: expected a number or shape {shape}, the loss's, found {found.shape}.")
    return np.broadcast_to(found, shape).astype(kind)


def as_type(gradient: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Round a gradient to the type of its argument; what a half type cannot hold becomes inf or 0."""
    with np.errstate(over="ignore", under="ignore"):
        return gradient.astype(kind, copy=False)
