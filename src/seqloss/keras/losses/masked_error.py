"""Squared and absolute error over the real steps of a padded batch, by the frontend of Keras' backend."""

from __future__ import annotations

from seqloss.contract import Reduction
from seqloss.keras.arrays import BackendTensor, IntegerArray
from seqloss.keras.losses.arrays import Mask, Numbers, as_tensor, backend_function


def masked_squared_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> BackendTensor:
    """Compute the squared error of each step of padded sequences: train a regression on sequences or a forecast.

        loss[n, t] = mean over features of (predictions[n, t] - targets[n, t])^2

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Values on a GPU, and values in `fit` on TensorFlow and JAX, are not checked. A row with an invalid length then has
    loss and gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32 or
            float64.
        targets: numbers of the same shape; nothing is broadcast. They have a gradient too.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and devices to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions. A NaN
        in a real step makes the loss of this step NaN. Without any real step every reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import masked_squared_error
        >>> predictions = np.array([[1.0, 2.0, 7.0], [3.0, 7.0, 7.0]], "float32")
        >>> round(float(masked_squared_error(predictions, np.zeros((2, 3)), [2, 1])), 4)  # (1 + 4 + 9) / 3
        4.6667
    """
    return backend_function("masked_squared_error")(
        as_tensor("predictions", predictions),
        targets,
        lengths,
        mask=mask,
        padding=padding,
        reduction=reduction,
        denominator=denominator,
    )


def masked_absolute_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> BackendTensor:
    """Compute the absolute error of each step of padded sequences: a regression that outliers do not dominate.

        loss[n, t] = mean over features of |predictions[n, t] - targets[n, t]|

    The gradient is 0 where a prediction equals its target.

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Values on a GPU, and values in `fit` on TensorFlow and JAX, are not checked. A row with an invalid length then has
    loss and gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32 or
            float64.
        targets: numbers of the same shape; nothing is broadcast. They have a gradient too.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and devices to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions. A NaN
        in a real step makes the loss of this step NaN. Without any real step every reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import masked_absolute_error
        >>> predictions = np.array([[1.0, -2.0, 7.0], [3.0, 7.0, 7.0]], "float32")
        >>> round(float(masked_absolute_error(predictions, np.zeros((2, 3)), [2, 1])), 4)  # (1 + 2 + 3) / 3
        2.0
    """
    return backend_function("masked_absolute_error")(
        as_tensor("predictions", predictions),
        targets,
        lengths,
        mask=mask,
        padding=padding,
        reduction=reduction,
        denominator=denominator,
    )
