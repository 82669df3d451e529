"""Squared and absolute error over the real steps of a padded batch, on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.formulas import masked
from seqloss.torch.arrays import IntegerArray
from seqloss.torch.losses.arrays import Mask, Numbers
from seqloss.torch.losses.floats import read_floats
from seqloss.torch.losses.steps import form_of, place, place_steps, seen
from seqloss.torch.namespace import TorchNamespace
from seqloss.torch.tracing import recorded_by_fx


@recorded_by_fx
def masked_squared_error(
    predictions: torch.Tensor,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> torch.Tensor:
    """Compute the squared error of each step of padded sequences: train a regression on sequences or a forecast.

        loss[n, t] = mean over features of (predictions[n, t] - targets[n, t])^2

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Values that are stored on a GPU, and values under torch.compile or torch.func's transforms, are not checked. A row
    with an invalid length then has loss and gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32 or
            float64, any strides, any device.
        targets: numbers of the same shape; nothing is broadcast. They have a gradient too, if they require one.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and ranks to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions, on
        the device of the predictions. A NaN in a real step makes the loss of this step NaN. Without any real step every
        reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import torch
        >>> from seqloss.torch import masked_squared_error
        >>> predictions = torch.tensor([[1.0, 2.0, 7.0], [3.0, 7.0, 7.0]], requires_grad=True)
        >>> loss = masked_squared_error(predictions, torch.zeros(2, 3), torch.tensor([2, 1]))
        >>> round(loss.item(), 4)  # (1 + 4 + 9) / 3
        4.6667
        >>> loss.backward()
        >>> predictions.grad[0]
        tensor([0.6667, 1.3333, 0.0000])
    """
    given = (predictions, targets, lengths, mask, padding, reduction, denominator)
    return _error(masked.squared_error, *given)


@recorded_by_fx
def masked_absolute_error(
    predictions: torch.Tensor,
    targets: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> torch.Tensor:
    """Compute the absolute error of each step of padded sequences: a regression that outliers do not dominate.

        loss[n, t] = mean over features of |predictions[n, t] - targets[n, t]|

    The gradient is 0 where a prediction equals its target.

    A step is real if it lies within its row's length, its mask is not 0, and its targets are not the padding; an
    argument that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, and nothing
    that stands there is used, not even NaN.

    Values that are stored on a GPU, and values under torch.compile or torch.func's transforms, are not checked. A row
    with an invalid length then has loss and gradient NaN.

    Args:
        predictions: shape (batch, time), or (batch, time, ...) with any axes of features, float16, bfloat16, float32 or
            float64, any strides, any device.
        targets: numbers of the same shape; nothing is broadcast. They have a gradient too, if they require one.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: number that pads `targets`, possibly NaN: a step is padding if all its features are this number; None
            for no padding.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and ranks to get the gradient of one large batch.

    Returns:
        The loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 predictions, on
        the device of the predictions. A NaN in a real step makes the loss of this step NaN. Without any real step every
        reduction is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` is no number.

    Example:
        >>> import torch
        >>> from seqloss.torch import masked_absolute_error
        >>> predictions = torch.tensor([[1.0, -2.0, 7.0], [3.0, 7.0, 7.0]], requires_grad=True)
        >>> loss = masked_absolute_error(predictions, torch.zeros(2, 3), torch.tensor([2, 1]))
        >>> loss.item()  # (1 + 2 + 3) / 3
        2.0
        >>> loss.backward()
        >>> predictions.grad[0]
        tensor([ 0.3333, -0.3333,  0.0000])
    """
    given = (predictions, targets, lengths, mask, padding, reduction, denominator)
    return _error(masked.absolute_error, *given)


def _error(
    formula: Callable[..., Any], predictions: torch.Tensor, targets: Any, lengths: Any, mask: Any,
    padding: float | None, reduction: Reduction, denominator: float | None,
) -> torch.Tensor:  # fmt: skip
    contract.check_reduction(reduction, denominator)
    x = read_floats("predictions", predictions)
    if not isinstance(targets, torch.Tensor):
        targets = torch.as_tensor(
            targets if torch.compiler.is_compiling() else contract.as_step_array("targets", targets)
        )
    known = (form_of(targets), seen("lengths", lengths), seen("mask", mask))
    contract.check_numbers(tuple(x.shape), *known, padding)
    steps, xp = place_steps(x, lengths, mask), TorchNamespace(x.device)
    losses, steps = formula(xp, x, place(targets, x).to(x.dtype), steps, padding)
    return masked.reduce_steps(xp, losses, steps, reduction, denominator)
