"""Points and labels of the losses that compare the rows of a batch, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract

Points: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): an array, or nested lists. `np.generic`, because bfloat16 is no `np.floating`."""

Labels: TypeAlias = npt.NDArray[np.integer] | Sequence[int]
"""One integer for each row (batch,)."""


def read_labels(labels: Any, count: int | None, of: str = "embeddings") -> np.ndarray:
    """Convert labels to an array of integers, one for each row.

    Raises:
        DTypeError, ShapeError: see `contract.check_point_labels`.
    """
    array = contract.as_integer_array("labels", labels)
    contract.check_point_labels(contract.form_of(array.dtype, array.shape), count, of)
    return array
