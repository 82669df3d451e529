"""Keras' own reduction, for losses of the rows of a batch that are computed already."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqloss.errors import wrong_rank
from seqloss.keras.ctc.shapes import as_column, is_column, rank, size


def reduce_rows(loss: keras.losses.Loss, losses: Any, sample_weight: Any, computed_in: str, hint: str) -> Any:
    """Reduce the losses of the rows of a batch as a Keras loss object is told to, in its type.

    Args:
        loss: the object.
        losses: (batch,).
        sample_weight: (batch,), (batch, 1), one number, or None. A row with weight 0 counts as 0, even if its loss is
            inf.
        computed_in: the type that they are reduced in.
        hint: for weights of another shape.
    """
    losses = ops.cast(losses, computed_in)
    if sample_weight is not None:
        sample_weight = _weight_of_rows(ops.convert_to_tensor(sample_weight, losses.dtype), size(losses, 0), hint)
        losses = ops.where(ops.equal(sample_weight, 0), 0.0, losses)  # 0 times inf is NaN
    result = KerasReduction(loss.name, loss.reduction, losses.dtype)(losses, losses, sample_weight)
    return result if loss.dtype in ("float32", "float64") else ops.cast(result, loss.dtype)


def _weight_of_rows(sample_weight: Any, rows: Any, hint: str) -> Any:
    """Return weights as (batch,), or a single number for all rows unchanged."""
    if rank(sample_weight) == 0:
        return sample_weight
    if not is_column(sample_weight):
        raise wrong_rank("sample_weight", sample_weight.shape, "(batch,)", hint)
    return as_column(sample_weight, rows)


class KerasReduction(keras.losses.Loss):
    """Keras' own reduction, of losses that are computed already: the second argument of a call."""

    def __init__(self, name: str, reduction: str | None, dtype: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=keras.backend.standardize_dtype(dtype))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred
