"""An error for a derivative that does not exist, raised when, and only when, autograd asks for it.

A backward cannot see for which of its inputs a gradient is requested: `needs_input_grad` names all that could have one.
But autograd runs only the nodes that lead to the requested inputs. So `refuse_derivative` gives the differentiable
argument a node of its own, whose derivative is the error.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from seqloss.torch._compat import transforms_are_active


def refuse_derivative(x: torch.Tensor, message: str) -> torch.Tensor:
    """Return an empty tensor, (batch, 0), that depends on `x`; its derivative raises a RuntimeError.

    Give it to an autograd Function beside `x.detach()`. The backward of the Function must return a gradient for it.
    """
    guard: torch.Tensor = _Refusal.apply(x, message)
    return guard


def refuse_detached(name: str, x: torch.Tensor) -> None:
    """Raise if a tensor that a Function has saved was detached in place meanwhile; PyTorch would drop its derivative.

    Call it in the backward of a Function, with the saved tensor of an input that needs a gradient.
    """
    if torch.is_grad_enabled() and not x.requires_grad and not transforms_are_active():
        raise RuntimeError(
            f"{name}: the second derivative needs the argument, which was detached in place after the loss; use "
            "x.detach() instead of x.detach_()."
        )


class _Refusal(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, message: str) -> torch.Tensor:
        return x.new_empty(len(x) if x.ndim else 1, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.message = inputs[1]

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> NoReturn:
        raise RuntimeError(ctx.message)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        raise RuntimeError(ctx.message)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: torch.Tensor, message: str) -> tuple[torch.Tensor, int]:
        whole = x.movedim(in_dims[0], 0)
        rows = whole.shape[1] if whole.ndim > 1 else 1
        guard = _Refusal.apply(whole.reshape(info.batch_size * rows, *whole.shape[2:]), message)
        return guard.reshape(info.batch_size, rows, 0), 0
