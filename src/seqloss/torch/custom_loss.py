"""Custom losses with autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss.errors import ShapeError, wrong_dtype
from seqloss.torch._compat import forward_rule, is_legacy_batched, needs_graph
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.last_derivative import refuse_derivative, refuse_detached
from seqloss.torch.tracing import refuse_tracing, untraced

Values: TypeAlias = float | np.floating | npt.NDArray[np.floating] | torch.Tensor
"""What a custom loss function may return as loss or gradient."""


HessianVectorProduct: TypeAlias = Callable[..., Values]


def from_loss_and_grad(
    function: Callable[..., tuple[Values, Values]], hessian_vector_product: HessianVectorProduct | None = None
) -> Callable[..., torch.Tensor]:
    """Make a loss with autograd from a function that returns (loss, gradient).

        backward: upstream[n] * gradient[n, ...],        gradient[n, ...] = d loss[n] / d x[n, ...]

    Use it if you compute the gradient yourself: from a formula, with NumPy or SciPy, or with a library in another
    language. Forward mode and torch.func's grad, vjp, jvp and jacrev of it work too.

    Args:
        function: takes an array and any further arguments, and returns (loss, gradient). The loss is a number, or has
            one entry for each entry of the leading axes of the array, for example shape (batch,). The gradient is that
            of each loss with respect to the array, in the shape of the array. Tensors are passed to the function as
            read-only NumPy arrays (half types as float32), all other arguments unchanged.
        hessian_vector_product: for second derivatives: takes the array, a direction of the same shape, and the further
            arguments. It returns the derivative of `gradient` in that direction, in the shape of the array. None: a
            second derivative is an error.

    Returns:
        The same function for tensors. It returns the loss as a tensor on the device and in the type of its first
        argument (float32 for half types), and propagates the gradient to the first argument.

    Raises:
        DTypeError: the first argument is not a floating tensor (raised by a call).
        ShapeError: the loss, the gradient or the product has a wrong shape (raised by a call).
        RuntimeError: the gradient is differentiated without `hessian_vector_product`, or the second derivative is; or a
            call is inside torch.func.vmap or is recorded by a tracer.

    Example:
        >>> import numpy as np, torch
        >>> from seqloss.torch import from_loss_and_grad
        >>> squares = from_loss_and_grad(lambda x, y: (((x - y) ** 2).sum(-1), 2 * (x - y)), lambda x, v, y: 2 * v)
        >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
        >>> squares(x, np.zeros(2)).sum().backward()
        >>> x.grad
        tensor([[2., 4.]])
        >>> torch.autograd.functional.hvp(lambda x: squares(x, np.zeros(2)).sum(), x, torch.ones(1, 2))[1]
        tensor([[2., 2.]])
    """

    def loss(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            found = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise wrong_dtype("the first argument", found, "a floating torch.Tensor")
        if hessian_vector_product is not None:  # it is called later, when the caller may have changed its arrays
            args, kwargs = tuple(map(_copied, args)), {name: _copied(value) for name, value in kwargs.items()}
        return _apply(x, _Call(function, hessian_vector_product, args, kwargs))

    loss.__name__ = _name_of(function)
    loss.__doc__ = function.__doc__
    return loss


@dataclass(frozen=True)
class _Call:
    """A call of a custom loss, without its first argument."""

    function: Callable[..., Any]
    hessian_vector_product: HessianVectorProduct | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        return _name_of(self.function)

    def loss_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.function(_to_numpy(x), *map(_to_numpy, self.args), **_all_to_numpy(self.kwargs))
        loss, gradient = (_to_tensor(value, x) for value in found)
        _check_shape("gradient", gradient, x)
        if loss.shape != x.shape[: loss.ndim]:
            raise ShapeError(
                f"loss: expected a number or one for each of the argument's leading axes {tuple(x.shape)}, "
                f"found shape {tuple(loss.shape)}."
            )
        return loss, gradient

    def product(self, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        assert self.hessian_vector_product is not None
        given = (_to_numpy(x), _to_numpy(direction), *map(_to_numpy, self.args))
        found = _to_tensor(self.hessian_vector_product(*given, **_all_to_numpy(self.kwargs)), x)
        _check_shape("hessian_vector_product", found, x)
        return found


@untraced
def _apply(x: torch.Tensor, call: _Call) -> torch.Tensor:
    refuse_tracing(call.name, x)
    loss: torch.Tensor = _CustomLoss.apply(x, call)[0]
    return loss


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "loss")


class _CustomLoss(torch.autograd.Function):
    """The loss, and its gradient, which has no graph here."""

    @staticmethod
    def forward(x: torch.Tensor, call: _Call) -> tuple[torch.Tensor, torch.Tensor]:
        return call.loss_and_gradient(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
        x, ctx.call = inputs
        ctx.axes = output[0].ndim
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, output[1])
        ctx.save_for_forward(x, output[1])

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, _: None) -> tuple[torch.Tensor | None, None]:
        if upstream is None:
            return None, None
        x, gradient = ctx.saved_tensors
        if needs_graph():  # create_graph=True, or forward mode
            refuse_detached(ctx.call.name, x)
            gradient = _Gradient.apply(x, gradient, ctx.call)
        rows = upstream.reshape(upstream.shape + (1,) * (gradient.ndim - upstream.ndim))
        return (gradient * rows).to(x.dtype), None

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, direction: torch.Tensor | None, _: None) -> tuple[torch.Tensor | None, None]:
        if direction is None:
            return None, None
        x, gradient = ctx.saved_primals
        products = _Gradient.apply(x, gradient, ctx.call) * direction
        return products.sum(tuple(range(ctx.axes, x.ndim))) if x.ndim > ctx.axes else products, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: torch.Tensor, call: _Call) -> NoReturn:
        raise _no_vmap(call)


class _Gradient(torch.autograd.Function):
    """The gradient that `_CustomLoss` has computed, with its derivative with respect to x."""

    @staticmethod
    def forward(x: torch.Tensor, gradient: torch.Tensor, call: _Call) -> torch.Tensor:
        return gradient.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.call = inputs[-1]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if upstream is None:
            return None, None, None
        (x,) = ctx.saved_tensors
        return _multiply_hessian(x, upstream, ctx.call), None, None

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, direction: torch.Tensor | None, *_: None) -> torch.Tensor | None:
        (x,) = ctx.saved_primals
        return None if direction is None else _multiply_hessian(x, direction, ctx.call)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> NoReturn:
        raise _no_vmap(arguments[-1])


def _multiply_hessian(x: torch.Tensor, direction: torch.Tensor, call: _Call) -> torch.Tensor:
    if call.hessian_vector_product is None:
        raise RuntimeError(
            f"{call.name} has no second derivative: its gradient was taken with create_graph=True and is now being "
            "differentiated; give from_loss_and_grad a hessian_vector_product, detach that gradient, or leave this "
            "loss out of the penalty."
        )
    if is_legacy_batched(direction):
        raise RuntimeError(
            f"{call.name}: batches of second derivatives (vectorize=True, is_grads_batched=True) are not supported; "
            "use vectorize=False, or torch.func.hessian."
        )
    guard = refuse_derivative(x, f"{call.name} has no third derivative; detach the second derivative.")
    product: torch.Tensor = _Product.apply(guard, x.detach(), direction, call)
    return product


class _Product(torch.autograd.Function):
    """The Hessian times a direction, linear in it and symmetric; `guard` is of `refuse_derivative`, x is detached."""

    @staticmethod
    def forward(guard: torch.Tensor, x: torch.Tensor, direction: torch.Tensor, call: _Call) -> torch.Tensor:
        return call.product(x, direction).to(direction.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        guard, x, _, ctx.call = inputs
        ctx.guard_shape = guard.shape
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if upstream is None:
            return None, None, None, None
        (x,) = ctx.saved_tensors
        return upstream.new_zeros(ctx.guard_shape), None, _multiply_hessian(x, upstream, ctx.call), None

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, guard: Any, x: Any, direction: torch.Tensor | None, _: None) -> torch.Tensor | None:
        (saved,) = ctx.saved_primals
        return None if direction is None else _multiply_hessian(saved, direction, ctx.call)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[torch.Tensor, int]:
        guard, x, direction, call = arguments
        if in_dims[1] is not None:
            raise _no_vmap(call)
        guard = guard if in_dims[0] is None else guard.movedim(in_dims[0], 0)[0]
        return torch.stack([_Product.apply(guard, x, one, call) for one in direction.unbind(in_dims[2])]), 0


def _no_vmap(call: _Call) -> RuntimeError:
    return RuntimeError(
        f"{call.name} has no rule for torch.func.vmap, because its function takes one array at a time; "
        "give it the whole batch: a loss for each row, shape (batch,)."
    )


def _check_shape(name: str, found: torch.Tensor, x: torch.Tensor) -> None:
    if found.shape != x.shape:
        raise ShapeError(f"{name}: expected shape {tuple(x.shape)}, the argument's, found {tuple(found.shape)}.")


def _all_to_numpy(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _to_numpy(value) for name, value in values.items()}


def _to_numpy(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    values = value.detach().to("cpu", COMPUTED_IN.get(value.dtype, value.dtype))
    array = values.resolve_conj().resolve_neg().numpy().view()
    array.flags.writeable = False
    return array


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _to_tensor(value: Any, x: torch.Tensor) -> torch.Tensor:
    """Copy a result, so that the function cannot change what backward uses."""
    tensor = value.detach().clone() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
    return tensor.to(x.device, COMPUTED_IN.get(x.dtype, x.dtype))
