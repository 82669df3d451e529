"""The CTC of `keras.backend`, which Keras 3 no longer has."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqloss.contract import Infeasible
from seqloss.errors import wrong_rank
from seqloss.keras.ctc.argument_names import ArgumentNames, rename_arguments
from seqloss.keras.ctc.labels import as_integers
from seqloss.keras.ctc.loss import as_tensor, ctc_loss
from seqloss.keras.ctc.shapes import as_column, is_column, is_half, rank, size, with_rank

ARGUMENT_NAMES = ArgumentNames(target_lengths="label_length", logit_lengths="input_length")


def ctc_batch_cost(
    y_true: Any, y_pred: Any, input_length: Any, label_length: Any, *, infeasible: Infeasible = "raise"
) -> Any:
    """Keep code that was written for `keras.backend.ctc_batch_cost`: probabilities in, the blank last, (batch, 1) out.

        loss = ctc_loss(log(y_pred + epsilon), y_true, blank=-1),        epsilon = keras.config.epsilon()

    As there, the softmax is taken of these logs, so that y_pred + epsilon adds up to 1 again; and the gradient is that
    with respect to the probabilities. A new model had better end without a softmax and use `seqloss.keras.CTC`.

    Args:
        y_true: labels (batch, labels), integers, or whole numbers in a floating type.
        y_pred: probabilities (batch, time, classes), what a softmax gives.
        input_length: frames in use, (batch, 1).
        label_length: labels in use, (batch, 1).
        infeasible: as `ctc_loss`; the old function raised an error, too.

    Returns:
        the loss in nats, (batch, 1); float32, or float64 for float64 probabilities.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_batch_cost
        >>> y_pred = np.full((1, 2, 3), 1 / 3, "float32")
        >>> loss = ctc_batch_cost(np.array([[0]]), y_pred, np.array([[2]]), np.array([[1]]))
        >>> tuple(loss.shape), round(float(loss[0, 0]), 4)
        ((1, 1), 1.0986)
    """
    probabilities = with_rank("y_pred", as_tensor(y_pred), "batch", "time", "classes")
    if is_half(probabilities):
        probabilities = ops.cast(probabilities, "float32")  # epsilon is nothing beside a half type's 1
    rows = size(probabilities, 0)
    with rename_arguments(ARGUMENT_NAMES):
        losses = ctc_loss(
            ops.log(probabilities + keras.config.epsilon()),
            with_rank("y_true", as_integers("y_true", y_true), "batch", "labels"),
            _column("input_length", input_length, rows),
            _column("label_length", label_length, rows),
            blank=-1,
            infeasible=infeasible,
        )
    return ops.expand_dims(losses, 1)


def _column(name: str, lengths: Any, rows: Any) -> Any:
    """(batch, 1) as (batch,), which is taken too."""
    found = as_integers(name, lengths)
    if not is_column(found):
        raise wrong_rank(name, found.shape, "(batch, 1)")
    if rank(found) == 2 and found.shape[1] == 1:
        return found[:, 0]
    return as_column(found, rows)
