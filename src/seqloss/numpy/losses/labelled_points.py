"""Points and labels as the arrays that the losses of a batch's points take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract, errors
from seqloss.numpy.arrays import COMPUTED_IN

Points: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[float]]
"""Points (points, dimensions): an array, or nested lists. `np.generic`, because bfloat16 is no `np.floating`."""

Labels: TypeAlias = npt.NDArray[np.integer] | Sequence[int]
"""One class for each point (points,)."""


def read_points(points: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check points and labels; return the points in their own type, and the labels as integers.

    Raises:
        ShapeError, DTypeError: see `seqloss.contract.check_labelled_points`.
    """
    array, classes = _array("points", points), read_labels(labels)
    contract.check_labelled_points(array.shape, array.dtype.name, contract.form_of(classes.dtype, classes.shape))
    if not array.dtype.isnative:
        raise errors.wrong_dtype("points", array.dtype, "native byte order")
    return array, classes


def read_labels(labels: Any) -> np.ndarray:
    """Labels as an array, of integers if there are none."""
    array = _array("labels", labels)
    untyped = array.size == 0 and not isinstance(labels, np.ndarray)  # an empty list has no type of its own
    return array.astype(np.int64) if untyped else array


def computed(points: np.ndarray) -> np.ndarray:
    """Points as float32 or float64, without a copy where possible."""
    return points.astype(COMPUTED_IN[points.dtype.name], copy=False)


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise errors.uneven_rows(name) from None
