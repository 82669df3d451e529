"""Types of the arguments, and conversion of logits to the arrays that the kernels take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Batch
from seqloss.errors import wrong_logits_dtype

FloatArray: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[Sequence[float]]]
"""Logits (batch, time, classes): an array, or nested lists. `np.generic`, because bfloat16 is no `np.floating`."""

IntegerArray: TypeAlias = npt.NDArray[np.integer] | Sequence[int] | Sequence[Sequence[int]]
"""Labels or lengths: an array of integers, or (nested) lists."""

Upstream: TypeAlias = float | np.floating | npt.NDArray[np.floating] | Sequence[float]
"""Gradient of an objective with respect to a loss: one number, or one for each row."""

COMPUTED_IN: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.float32),
    "bfloat16": np.dtype(np.float32),  # NumPy has it from ml_dtypes
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
"""The type that each type of logits is computed in."""

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Largest relative error of rounding a number to a half type."""


def logits_to_numpy(logits: FloatArray) -> tuple[np.ndarray, np.dtype]:
    """Convert logits to float32 or float64 without a copy where possible; also return their original type.

    Raises:
        DTypeError: the element type is not a supported floating type, or the array is a masked one.
        ShapeError: the rows have different lengths.
    """
    array = contract.as_array("logits", logits, "logit_lengths")
    if array.dtype.name not in COMPUTED_IN or not array.dtype.isnative:
        raise wrong_logits_dtype(array.dtype)
    return array.astype(COMPUTED_IN[array.dtype.name], copy=False), array.dtype


def log_softmax_rounding(name: str) -> float:
    """Return the `rounding` of `contract.check_normalized` for logits of a type: 0 unless it is a half type."""
    return 2 * UNIT_ROUNDOFF.get(name, 0.0)


def check_call(
    values: np.ndarray,
    targets: Any,
    logit_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    normalize: bool,
    validate: bool,
    rounding: float,
) -> Batch:
    """Hold a call against the contract as `ctc_loss` describes it.

    Args:
        values: the scores, float32 or float64.
        rounding: of the type that they came in.
    """
    batch = contract.validate(values.shape, targets, logit_lengths, target_lengths, blank=blank, values=validate)
    if validate and not normalize:
        contract.check_normalized(values, batch.logit_lengths, rounding)
    return batch
