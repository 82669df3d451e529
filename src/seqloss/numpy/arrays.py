"""Scores as the arrays that kernels take: what every function behind this frontend begins with."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import contract
from seqloss.contract import Batch
from seqloss.errors import ShapeError, wrong_dtype

COMPUTED_IN: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.float32),
    "bfloat16": np.dtype(np.float32),  # NumPy has it from ml_dtypes
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""How far, relatively, a score of a half type may be from the number it was rounded from."""


def scores(logits: Any) -> tuple[np.ndarray, np.dtype]:
    """Logits as float32 or float64, and the type that they came in; the caller's own memory where that is possible.

    Raises:
        DTypeError: not of a floating type that seqloss computes with.
        ShapeError: rows of uneven length.
    """
    try:
        array = np.asarray(logits)
    except ValueError:
        raise ShapeError(
            "logits: found rows of uneven length; pad them to one length and give logit_lengths."
        ) from None
    if array.dtype.name not in COMPUTED_IN or not array.dtype.isnative:
        raise wrong_dtype("logits", array.dtype, "float16, bfloat16, float32 or float64")
    return array.astype(COMPUTED_IN[array.dtype.name], copy=False), array.dtype


def rounding(name: str) -> float:
    """How far a half type's `log_softmax` may be off, see `contract.check_normalized`; 0 for other types."""
    return 2 * UNIT_ROUNDOFF.get(name, 0.0)


def checked(
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
