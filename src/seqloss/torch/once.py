"""A gradient that says so when somebody differentiates it again.

PyTorch's `once_differentiable` speaks up only where what came from upstream needs a gradient itself. A
gradient penalty on the scores, `loss + grad(loss, scores, create_graph=True).square().sum()`, is not such a
case: the penalty would silently count for nothing.
"""

from __future__ import annotations

from typing import Any

import torch


def once(gradient: torch.Tensor, loss: str) -> torch.Tensor:
    """What a backward returns; with `create_graph=True` it becomes a tensor whose own backward is an error.

    Args:
        gradient: computed without a graph.
        loss: the loss's name, for the message.
    """
    return _Once.apply(gradient.requires_grad_(), loss) if torch.is_grad_enabled() else gradient


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, loss: str) -> torch.Tensor:
        ctx.loss = loss
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        raise RuntimeError(
            f"{ctx.loss} has no second derivative: its gradient was taken with create_graph=True and is now being "
            "differentiated; detach that gradient, or leave this loss out of the penalty."
        )
