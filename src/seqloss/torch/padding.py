"""Scores of which no derivative reaches the padding, without a copy of them where PyTorch computes step by step."""

from __future__ import annotations

from typing import Any

import torch

from seqloss.torch._compat import has_tangent, transforms_are_active
from seqloss.torch.tracing import has_no_values


def shut_padding(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """x, through which no derivative flows into steps that are not real.

    A selection would read and write all scores once more in each direction. In plain eager calls, the backward writes
    zeros over the padding of a gradient that nothing else uses.

    Args:
        x: (batch, time, n), for an operation on each step that has no other use for the padding.
        real: bool (batch, time).
    """
    if torch.compiler.is_compiling() or transforms_are_active() or has_tangent(x) or has_no_values(x):
        return torch.where(real[:, :, None], x, 0.0)
    shut: torch.Tensor = _ShutPadding.apply(x, real)
    return shut


class _ShutPadding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(real)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (real,) = ctx.saved_tensors
        return gradient.masked_fill_(~real[:, :, None], 0.0), None
