"""Custom losses with autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss.errors import ShapeError, wrong_dtype
from seqloss.torch._compat import is_transformed
from seqloss.torch.arrays import COMPUTED_IN, unreachable_values
from seqloss.torch.no_double_backward import anchor, refuse_double_backward
from seqloss.torch.tracing import refuse_tracing, untraced

Values: TypeAlias = float | np.floating | npt.NDArray[np.floating] | torch.Tensor
"""What a custom loss function may return as loss or gradient."""


def from_loss_and_grad(function: Callable[..., tuple[Values, Values]]) -> Callable[..., torch.Tensor]:
    """Make a loss with autograd from a function that returns (loss, gradient).

        backward: upstream[n] * gradient[n, ...],        gradient[n, ...] = d loss[n] / d x[n, ...]

    Use it if you compute the gradient yourself: from a formula, with NumPy or SciPy, or with a library in another
    language.

    Args:
        function: takes an array and any further arguments, and returns (loss, gradient). The loss is a number, or has
            one entry for each entry of the leading axes of the array, for example shape (batch,). The gradient is that
            of each loss with respect to the array, in the shape of the array. Tensors are passed to the function as
            read-only NumPy arrays (half types as float32), all other arguments unchanged.

    Returns:
        The same function for tensors. It returns the loss as a tensor on the device and in the type of its first
        argument (float32 for half types), and propagates the gradient to the first argument.

    Raises:
        DTypeError: the first argument is not a floating tensor (raised by a call).
        ShapeError: the loss or the gradient has a wrong shape (raised by a call).
        RuntimeError: the gradient is differentiated again, or a call is inside a torch.func transform or is recorded by
            a tracer.

    Example:
        >>> import numpy as np, torch
        >>> from seqloss.torch import from_loss_and_grad
        >>> squares = from_loss_and_grad(lambda x, y: (((x - y) ** 2).sum(-1), 2 * (x - y)))
        >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
        >>> squares(x, np.zeros(2)).sum().backward()
        >>> x.grad
        tensor([[2., 4.]])
    """

    def loss(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            found = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise wrong_dtype("the first argument", found, "a floating torch.Tensor")
        return _apply(x, function, args, kwargs)

    loss.__name__ = _name_of(function)
    loss.__doc__ = function.__doc__
    return loss


@untraced
def _apply(
    x: torch.Tensor, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.Tensor:
    refuse_tracing(_name_of(function), x)
    if is_transformed(x):
        raise unreachable_values(_name_of(function))
    loss: torch.Tensor = _CustomLoss.apply(x, function, args, kwargs, (anchor(x),))
    return loss


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "loss")


class _CustomLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        source: tuple[torch.Tensor | None],  # in a tuple: no argument that autograd sees
    ) -> torch.Tensor:
        loss, gradient = function(
            _to_numpy(x), *map(_to_numpy, args), **{name: _to_numpy(value) for name, value in kwargs.items()}
        )
        loss = _to_tensor(loss, x)
        gradient = _to_tensor(gradient, x)
        if gradient.shape != x.shape:
            raise ShapeError(
                f"gradient: expected shape {tuple(x.shape)}, the argument's, found {tuple(gradient.shape)}."
            )
        if loss.shape != x.shape[: loss.ndim]:
            raise ShapeError(
                f"loss: expected a number or one for each of the argument's leading axes {tuple(x.shape)}, "
                f"found shape {tuple(loss.shape)}."
            )
        ctx.save_for_backward(gradient)
        ctx.dtype, ctx.loss_name, ctx.source = x.dtype, _name_of(function), source[0]
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        shape = upstream.shape + (1,) * (gradient.ndim - upstream.ndim)
        with torch.no_grad():
            weighted = (gradient * upstream.reshape(shape)).to(ctx.dtype)
        return refuse_double_backward(weighted, ctx.loss_name, ctx.source, upstream), None, None, None, None


def _to_numpy(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    array = value.detach().to("cpu", COMPUTED_IN.get(value.dtype, value.dtype)).numpy().view()
    array.flags.writeable = False
    return array


def _to_tensor(value: Any, x: torch.Tensor) -> torch.Tensor:
    """Copy a result, so that the function cannot change what backward uses."""
    tensor = value.detach().clone() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
    return tensor.to(x.device, COMPUTED_IN.get(x.dtype, x.dtype))
