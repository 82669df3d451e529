"""From checked arguments to each row's loss behind PyTorch's autograd, and their reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Batch, Infeasible, Reduction
from seqloss.numpy.rows import Rows, compute
from seqloss.torch.once import once


def losses(
    name: str,
    logits: torch.Tensor,
    values: np.ndarray,
    batch: Batch,
    *,
    normalize: bool,
    infeasible: Infeasible,
    finish: Callable[[np.ndarray, Rows], None] | None = None,
) -> torch.Tensor:
    """The loss of each row, (batch,), that brings its gradient to the logits.

    Args:
        name: of the loss, for what it says.
        logits: (batch, time, classes).
        values: the same as an array of the type that is computed in.
        batch: checked.
        normalize, infeasible: see `seqloss.torch.ctc_loss`.
        finish: makes, in place, another gradient of the one in `Rows`, given the values; called where one is needed.
    """
    return _Losses.apply(logits, name, values, batch, normalize, infeasible, finish)


def reduced(losses: torch.Tensor, batch: Batch, reduction: Reduction, denominator: float | None = None) -> torch.Tensor:
    """One number of a batch's losses, or, with "none", the losses."""
    if reduction == "none":
        return losses
    weights = contract.reduction_weights(reduction, batch.target_lengths, denominator)
    return (losses * torch.from_numpy(weights).to(losses)).sum()


class _Losses(torch.autograd.Function):
    """Loss and gradient in one sweep, forward; backward only weighs the gradient's rows."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        name: str,
        values: np.ndarray,
        batch: Batch,
        normalize: bool,
        infeasible: Infeasible,
        finish: Callable[[np.ndarray, Rows], None] | None,
    ) -> torch.Tensor:
        rows = compute(values, batch, normalize=normalize, infeasible=infeasible, gradient=ctx.needs_input_grad[0])
        if rows.gradient is not None:
            if finish:
                finish(values, rows)
            ctx.save_for_backward(torch.from_numpy(rows.gradient), torch.from_numpy(rows.still))
            ctx.like, ctx.name = (logits.device, logits.dtype), name
        return torch.from_numpy(rows.losses).to(logits.device)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, still = ctx.saved_tensors
        with torch.no_grad():
            weights = upstream.to("cpu", gradient.dtype)[:, None].masked_fill(still, 0.0)  # (batch, time); 0 inf is NaN
            weighted = (gradient * weights[:, :, None]).to(*ctx.like)
        return once(weighted, ctx.name), None, None, None, None, None, None
