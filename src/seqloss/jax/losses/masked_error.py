"""Squared and absolute error over the real steps of a padded batch, under JAX's transformations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.formulas import masked
from seqloss.jax.arrays import IntegerArray
from seqloss.jax.losses.floats import read_floats
from seqloss.jax.losses.steps import Mask, Numbers, place_steps, seen
from seqloss.jax.namespace import XP


def masked_squared_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> jax.Array:
    """Compute the squared error of each step of padded sequences: train a regression on sequences or a forecast.

        loss[n, t] = mean over features of (predictions[n, t] - targets[n, t])^2

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Traced values, and values on an accelerator, are not checked. A row with an invalid length then has loss and
    gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32
            or, if `jax_enable_x64` is set, float64.
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
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import masked_squared_error
        >>> predictions = jnp.array([[4.0, 2.0, 7.0]])
        >>> loss, gradient = jax.value_and_grad(masked_squared_error)(predictions, jnp.zeros((1, 3)), jnp.array([2]))
        >>> float(loss), gradient.tolist()
        (10.0, [[4.0, 2.0, 0.0]])
    """
    given = (predictions, targets, lengths, mask, padding, reduction, denominator)
    return _error(masked.squared_error, *given)


def masked_absolute_error(
    predictions: Numbers,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> jax.Array:
    """Compute the absolute error of each step of padded sequences: a regression that outliers do not dominate.

        loss[n, t] = mean over features of |predictions[n, t] - targets[n, t]|

    The gradient is 0 where a prediction equals its target.

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Traced values, and values on an accelerator, are not checked. A row with an invalid length then has loss and
    gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32
            or, if `jax_enable_x64` is set, float64.
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
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import masked_absolute_error
        >>> predictions = jnp.array([[4.0, -2.0, 7.0]])
        >>> loss, gradient = jax.value_and_grad(masked_absolute_error)(predictions, jnp.zeros((1, 3)), jnp.array([2]))
        >>> float(loss), gradient.tolist()
        (3.0, [[0.5, -0.5, 0.0]])
    """
    given = (predictions, targets, lengths, mask, padding, reduction, denominator)
    return _error(masked.absolute_error, *given)


def _error(
    formula: Callable[..., Any], predictions: Numbers, targets: Any, lengths: Any, mask: Any,
    padding: float | None, reduction: Reduction, denominator: float | None,
) -> jax.Array:  # fmt: skip
    contract.check_reduction(reduction, denominator)
    x, _ = read_floats("predictions", predictions, contract.STEPS_GIVEN_BY)
    numbers = targets if isinstance(targets, jax.Array) else contract.as_step_array("targets", targets)
    form = contract.form_of(numbers.dtype, numbers.shape)
    contract.check_numbers(x.shape, form, seen("lengths", lengths), seen("mask", mask), padding)
    steps = place_steps(x, lengths, mask)
    losses, steps = formula(XP, x, jnp.asarray(numbers, x.dtype), steps, padding)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)
