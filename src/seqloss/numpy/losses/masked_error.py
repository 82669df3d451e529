"""Squared and absolute error over the real steps of a padded batch, and their gradients, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Reduction, form_of
from seqloss.errors import wrong_dtype
from seqloss.formulas import masked
from seqloss.formulas.masked import Steps
from seqloss.numpy.arrays import COMPUTED_IN, IntegerArray, Upstream
from seqloss.numpy.losses.floats import as_type, read_floats
from seqloss.numpy.losses.steps import Loss, Mask, Numbers, read_optional, real_steps, step_upstream
from seqloss.numpy.namespace import XP


def masked_squared_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> Loss:
    """Compute the squared error of each step of padded sequences: train a regression on sequences or a forecast.

        loss[n, t] = mean over features of (predictions[n, t] - targets[n, t])^2

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: numbers of the same shape; nothing is broadcast.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions. A NaN
        in a real step makes the loss of this step NaN. Without any real step every reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_squared_error
        >>> predictions = np.array([[1.0, 2.0, 7.0], [3.0, 7.0, 7.0]])
        >>> round(float(masked_squared_error(predictions, np.zeros((2, 3)), [2, 1])), 4)
        4.6667
    """
    errors = _errors(masked.squared_error, predictions, targets, lengths, mask, padding, reduction, denominator)
    return errors.loss()


def masked_squared_error_and_grad(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
    upstream: Upstream | None = None,
) -> tuple[Loss, npt.NDArray[np.floating]]:
    """Compute the squared error of each step of padded sequences and its gradient.

        loss[n, t] = mean over features of (predictions[n, t] - targets[n, t])^2

        gradient = 2 (predictions - targets) / features

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: numbers of the same shape; nothing is broadcast.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (batch, time) with
            reduction="none"; None for 1.

    Returns:
        * The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions.
        * The gradient of sum(upstream * loss) with respect to the predictions, in their shape and type.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_squared_error_and_grad
        >>> loss, gradient = masked_squared_error_and_grad(np.array([[4.0, 2.0, 7.0]]), np.zeros((1, 3)), [2])
        >>> gradient.tolist()
        [[4.0, 2.0, 0.0]]
    """
    errors = _errors(masked.squared_error, predictions, targets, lengths, mask, padding, reduction, denominator)
    return errors.loss(), errors.gradient(lambda difference: 2 * difference, upstream)


def masked_absolute_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> Loss:
    """Compute the absolute error of each step of padded sequences: a regression that outliers do not dominate.

        loss[n, t] = mean over features of |predictions[n, t] - targets[n, t]|

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: numbers of the same shape; nothing is broadcast.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions. A NaN
        in a real step makes the loss of this step NaN. Without any real step every reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_absolute_error
        >>> predictions = np.array([[1.0, 2.0, 7.0], [3.0, 7.0, 7.0]])
        >>> round(float(masked_absolute_error(predictions, np.zeros((2, 3)), [2, 1])), 4)
        2.0
    """
    errors = _errors(masked.absolute_error, predictions, targets, lengths, mask, padding, reduction, denominator)
    return errors.loss()


def masked_absolute_error_and_grad(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
    upstream: Upstream | None = None,
) -> tuple[Loss, npt.NDArray[np.floating]]:
    """Compute the absolute error of each step of padded sequences and its gradient.

        loss[n, t] = mean over features of |predictions[n, t] - targets[n, t]|

        gradient = sign(predictions - targets) / features

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: numbers of the same shape; nothing is broadcast.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (batch, time) with
            reduction="none"; None for 1.

    Returns:
        * The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions.
        * The gradient of sum(upstream * loss) with respect to the predictions, in their shape and type.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_absolute_error_and_grad
        >>> loss, gradient = masked_absolute_error_and_grad(np.array([[4.0, 2.0, 7.0]]), np.zeros((1, 3)), [2])
        >>> gradient.tolist()
        [[0.5, 0.5, 0.0]]
    """
    errors = _errors(masked.absolute_error, predictions, targets, lengths, mask, padding, reduction, denominator)
    return errors.loss(), errors.gradient(np.sign, upstream)


@dataclass(frozen=True)
class _Errors:
    """What is known of a call once its losses are.

    Attributes:
        losses: (batch, time).
        difference: predictions minus targets, 0 where a step is not real.
        kind: type of the predictions.
    """

    losses: np.ndarray
    steps: Steps
    difference: np.ndarray
    kind: np.dtype
    reduction: Reduction
    denominator: float | None

    def loss(self) -> Any:
        return masked.reduce_steps(XP, self.losses, self.steps, self.reduction, self.denominator)

    def gradient(self, of_difference: Callable[[np.ndarray], np.ndarray], upstream: Any) -> np.ndarray:
        """The gradient by the predictions, given the derivative of one entry's error by its difference."""
        weights = step_upstream(self.losses, self.steps, self.reduction, self.denominator, upstream)
        axes = self.difference.ndim - 2
        features = max(1, int(np.prod(self.difference.shape[2:])))
        rows = (weights / weights.dtype.type(features)).reshape(*weights.shape, *(1,) * axes)
        real = self.steps.real.reshape(rows.shape)
        with np.errstate(all="ignore"):
            return as_type(np.where(real, of_difference(self.difference) * rows, 0), self.kind)


def _errors(
    formula: Callable[..., Any], predictions: Any, targets: Any, lengths: Any, mask: Any, padding: float | None,
    reduction: Reduction, denominator: float | None,
) -> _Errors:  # fmt: skip
    contract.check_reduction(reduction, denominator)
    x, kind = read_floats("predictions", predictions, contract.STEPS_GIVEN_BY)
    numbers = contract.as_step_array("targets", targets)
    if numbers.dtype.kind not in "iu" and numbers.dtype.name not in COMPUTED_IN:
        raise wrong_dtype("targets", numbers.dtype, "numbers: a floating type, or integers")
    lengths, mask = read_optional("lengths", lengths), read_optional("mask", mask)
    contract.check_numbers(x.shape, form_of(numbers.dtype, numbers.shape), lengths, mask, padding)
    with np.errstate(all="ignore"):  # what is not finite gives NaN or inf, as in every framework
        y = numbers.astype(x.dtype)
        losses, steps = formula(XP, x, y, real_steps(x, lengths, mask), padding)
        real = steps.real.reshape(*steps.real.shape, *(1,) * (x.ndim - 2))
        difference = np.where(real, x, 0) - np.where(real, y, 0)
    return _Errors(losses, steps, difference, kind, reduction, denominator)
