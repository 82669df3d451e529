"""Arguments of the losses of pairs and triplets, as tensors of Keras' backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from seqloss.errors import unknown_option, wrong_dtype, wrong_rank
from seqloss.keras.arrays import Tensor
from seqloss.keras.backend import BACKENDS
from seqloss.keras.ctc.labels import NO_INTEGER, as_integers, host_values, is_floating
from seqloss.keras.ctc.shapes import as_column, is_column, size

Points: TypeAlias = Tensor | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): a tensor, a NumPy array, or nested lists."""

RowLabels: TypeAlias = Tensor | Sequence[int]
"""One integer for each row (batch,): a tensor, a NumPy array, or a list."""


def as_tensor(name: str, values: Any) -> Any:
    """Convert to a tensor of the backend, without a change of type.

    Raises:
        DTypeError: a KerasTensor, outside of any layer or loss.
    """
    if isinstance(values, keras.KerasTensor):
        raise wrong_dtype(name, "a KerasTensor, which has no values", "a tensor; call the loss from a layer's `call`")
    return values if ops.is_tensor(values) else ops.convert_to_tensor(values)


def backend_losses() -> Any:
    """The module with the losses of the backend's own frontend."""
    name = keras.config.backend()
    if name == "torch":
        from seqloss.keras.losses import on_torch

        return on_torch
    if name == "jax":
        from seqloss.keras.losses import on_jax

        return on_jax
    if name == "tensorflow":
        from seqloss.keras.losses import on_tensorflow

        return on_tensorflow
    raise unknown_option("KERAS_BACKEND", name, BACKENDS)


def label_column(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels from Keras, (batch,) or (batch, 1), often cast to floats, as integers (batch,).

    Returns:
        The labels, and which of them are no whole numbers, (batch,).

    Raises:
        ShapeError: there is not one label for each row.
        DTypeError: a known label is not a whole number.
    """
    y_true = y_true if hasattr(y_true, "shape") else ops.convert_to_tensor(y_true)
    if not is_column(y_true):
        raise wrong_rank("y_true", y_true.shape, "(batch,)", "One label for each row; not one-hot.")
    known = host_values(y_true) if is_floating(y_true) else None
    wrong: np.ndarray | list[int] = [] if known is None else np.flatnonzero(known.ravel() != np.round(known.ravel()))
    if len(wrong) and known is not None:
        raise wrong_dtype(f"y_true[{wrong[0]}]", known.ravel()[wrong[0]], "an integer")
    labels = as_column(ops.convert_to_tensor(as_integers("y_true", y_true)), size(y_pred, 0))
    return labels, ops.equal(labels, NO_INTEGER)
