"""Raise an error for a second derivative, instead of returning a wrong number.

A backward computes its gradient without a graph. Under `create_graph=True` the gradient therefore gets a node whose
backward raises. Autograd runs only the nodes that lead to the requested inputs. So this node needs an edge to all that
the gradient depends on: the loss's argument and the upstream gradient. PyTorch's `once_differentiable` has no edge to
the argument: with it, a gradient penalty would silently have no effect.

A loss with a second derivative replaces `refuse_double_backward` by a Function that computes its gradient.
"""

from __future__ import annotations

from typing import Any

import torch


def anchor(x: torch.Tensor) -> torch.Tensor | None:
    """Return an empty tensor whose graph leads to `x`: an edge to the argument that keeps none of its memory.

    `save_for_backward` would keep `x` alive and forbid in-place changes.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return None
    return x.unsqueeze(0)[:0].clone()


def refuse_double_backward(
    gradient: torch.Tensor, loss: str, source: torch.Tensor, upstream: torch.Tensor
) -> torch.Tensor:
    """Return the gradient for a backward; with `create_graph=True`, its own backward raises.

    Args:
        gradient: computed without a graph.
        loss: the loss's name, for the message.
        source: the loss's argument, or its `anchor`.
        upstream: the gradient that backward received.
    """
    if not torch.is_grad_enabled():
        return gradient
    return gradient - no_double_backward(source, upstream, loss)  # x - 0 has the bits of x, -0.0 + 0 has not


def no_second_derivative(loss: str) -> RuntimeError:
    return RuntimeError(
        f"{loss} has no second derivative: its gradient was taken with create_graph=True and is now being "
        "differentiated; detach that gradient, or leave this loss out of the penalty."
    )


# An operator: a Function records no graph for the batched tensors of `is_grads_batched=True`.
@torch.library.custom_op(
    "seqloss::no_double_backward", mutates_args=(), schema="(Tensor source, Tensor upstream, str loss) -> Tensor"
)
def no_double_backward(source: torch.Tensor, upstream: torch.Tensor, loss: str) -> torch.Tensor:
    """Return a 0 that depends on the argument and on the upstream gradient; its backward raises."""
    return upstream.new_zeros(())


@no_double_backward.register_fake
def _(source: torch.Tensor, upstream: torch.Tensor, loss: str) -> torch.Tensor:
    return upstream.new_zeros(())


def _save_name(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.loss = inputs[2]


def _raise(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    raise no_second_derivative(ctx.loss)


no_double_backward.register_autograd(_raise, setup_context=_save_name)


@no_double_backward.register_vmap
def _(info: Any, in_dims: Any, source: torch.Tensor, upstream: torch.Tensor, loss: str) -> tuple[torch.Tensor, None]:
    return no_double_backward(source, upstream, loss), None
