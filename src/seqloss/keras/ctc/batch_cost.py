"""A replacement for `keras.backend.ctc_batch_cost`, which Keras 3 does not have."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqloss.contract import Infeasible, rename_arguments
from seqloss.contract.arrays import as_integer_array
from seqloss.errors import MOVE_BLANK, wrong_rank
from seqloss.keras.arrays import BackendTensor, FloatArray, IntegerArray
from seqloss.keras.ctc.argument_names import KerasNames
from seqloss.keras.ctc.labels import as_integers, refuse_fractional_lengths, refuse_fractions
from seqloss.keras.ctc.loss import as_tensor, ctc_loss
from seqloss.keras.ctc.probabilities import refuse_bad_frames
from seqloss.keras.ctc.shapes import as_column, is_column, is_half, rank, size, with_rank

ARGUMENT_NAMES = KerasNames(
    target_lengths="label_length",
    logit_lengths="input_length",
    true_lengths="give the true label_length",
    move_blank=f"use ctc_loss, not ctc_batch_cost, and {MOVE_BLANK}",
)


def ctc_batch_cost(
    y_true: IntegerArray,
    y_pred: FloatArray,
    input_length: IntegerArray,
    label_length: IntegerArray,
    *,
    infeasible: Infeasible = "raise",
) -> BackendTensor:
    """Replace `keras.backend.ctc_batch_cost` of Keras 2: probabilities as input, the blank as the last class.

        loss = ctc_loss(log(y_pred + epsilon), y_true, blank=-1),        epsilon = keras.config.epsilon()

    As in Keras 2, a softmax is applied to these logarithms, so that y_pred + epsilon adds up to 1, and the gradient is
    the one with respect to the probabilities. For a new model, leave out the final softmax and use `seqloss.keras.CTC`.

    In `fit` on TensorFlow and JAX values are known at run time only. Then the framework raises its own error with the
    same text. Values on a GPU, and all values under TensorFlow's jit_compile=True, are not checked: an invalid row
    gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

    Args:
        y_true: labels, shape (batch, labels), integers, or whole numbers of a floating type.
        y_pred: probabilities (after softmax), shape (batch, time, classes), float16, bfloat16, float32 or float64.
        input_length: number of frames in use of each row, integers, shape (batch, 1).
        label_length: number of labels in use of each row, integers, shape (batch, 1).
        infeasible: result for a row without a path of positive probability: "raise" (an InfeasibleError, as in Keras
            2), "inf" (loss inf, gradient 0) or "zero" (loss 0, gradient 0).

    Returns:
        The loss in nats, a tensor of Keras' backend, shape (batch, 1); float32, or float64 for float64 probabilities.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or a label in use is not a whole number.
        LabelError: a label in use is not a class or is the blank.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: a frame in use that is known has entries outside [0, 1], or does not add up to 1 within 0.01
            (and the rounding of a half type): raw scores or log-probabilities. In `fit` on TensorFlow and JAX, and on a
            GPU, this is not checked.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_batch_cost
        >>> y_pred = np.full((1, 2, 3), 1 / 3, "float32")
        >>> loss = ctc_batch_cost(np.array([[0]]), y_pred, np.array([[2]]), np.array([[1]]))
        >>> tuple(loss.shape), round(float(loss[0, 0]), 4)  # three of nine paths leave [0]: log 3
        ((1, 1), 1.0986)

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    with rename_arguments(ARGUMENT_NAMES):
        probabilities = with_rank("y_pred", as_tensor(y_pred), "batch", "time", "classes")
        rows = size(probabilities, 0)
        input_length = _column("input_length", input_length, rows, "time", probabilities.shape[1])
        refuse_bad_frames(probabilities, input_length)
        if is_half(probabilities):
            probabilities = ops.cast(probabilities, "float32")  # 1 + epsilon is 1 in a half type
        y_true = y_true if hasattr(y_true, "shape") else as_integer_array("targets", y_true, "target_lengths")
        y_true = with_rank("y_true", y_true, "batch", "labels")
        label_length = _column("label_length", label_length, rows, "labels", None)
        refuse_fractions("y_true", y_true, label_length)
        losses = ctc_loss(
            ops.log(probabilities + keras.config.epsilon()),
            as_integers("y_true", y_true),
            input_length,
            label_length,
            blank=-1,
            infeasible=infeasible,
        )
    return ops.expand_dims(losses, 1)


def _column(name: str, lengths: Any, rows: Any, axis: str, axis_size: int | None) -> Any:
    """Return lengths of shape (batch, 1) or (batch,) as (batch,)."""
    refuse_fractional_lengths(name, lengths, axis, axis_size)
    found = as_integers(name, lengths)
    if not is_column(found):
        raise wrong_rank(name, found.shape, "(batch, 1)")
    if rank(found) == 2 and found.shape[1] == 1:
        return found[:, 0]
    return as_column(found, rows)
