"""Labels that Keras hands to a loss object."""

from __future__ import annotations

from typing import Any

from keras import ops

from seqloss.errors import wrong_rank
from seqloss.keras.ctc.labels import NO_INTEGER, as_integers, refuse_used_fractions
from seqloss.keras.ctc.shapes import as_column, is_column, size


def label_column(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels from Keras, (batch,) or (batch, 1), often cast to floats, as integers (batch,).

    Returns:
        The labels, and which of them are no whole numbers, (batch,).

    Raises:
        ShapeError: there is not one label for each row.
        DTypeError: a known label is not a whole number, or too large for 32 bits.
    """
    y_true = y_true if hasattr(y_true, "shape") else ops.convert_to_tensor(y_true)
    if not is_column(y_true):
        raise wrong_rank("y_true", y_true.shape, "(batch,)", "One label for each row; not one-hot.")
    refuse_used_fractions("y_true", y_true)
    labels = as_column(ops.convert_to_tensor(as_integers("y_true", y_true)), size(y_pred, 0))
    return labels, ops.equal(labels, NO_INTEGER)
