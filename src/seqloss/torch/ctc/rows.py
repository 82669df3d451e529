"""Losses of a checked batch on the CPU, with autograd, and their reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Batch, Infeasible, Reduction
from seqloss.numpy.ctc.rows import Rows, compute_rows
from seqloss.torch._compat import graph_is_kept, is_batched
from seqloss.torch.no_double_backward import anchor, refuse_double_backward


def compute_losses(
    name: str,
    logits: torch.Tensor,
    values: np.ndarray,
    batch: Batch,
    *,
    normalize: bool,
    infeasible: Infeasible,
    reduction: Reduction = "none",
    denominator: float | None = None,
    finish: Callable[[np.ndarray, Rows], None] | None = None,
) -> torch.Tensor:
    """The loss of each row, (batch,), or one number of them all, that brings its gradient to the logits.

    Args:
        name: of the loss, for what it says.
        logits: (batch, time, classes).
        values: the same as an array of the type that is computed in.
        batch: checked.
        normalize, infeasible, reduction, denominator: see `seqloss.torch.ctc_loss`.
        finish: makes, in place, another gradient of the one in `Rows`, given the values; called where one is needed.
    """
    weights = None
    if reduction != "none":
        weights = contract.reduction_weights(reduction, batch.target_lengths, denominator).astype(values.dtype)
    source = (anchor(logits),)  # in a tuple: no argument that autograd sees
    return _Losses.apply(logits, name, values, batch, normalize, infeasible, weights, finish, source)


class _Losses(torch.autograd.Function):
    """Loss and gradient in one sweep, forward, the reduction's weights in the gradient as it is written.

    Backward multiplies by what comes from upstream, if that is not 1: in place, and gives the memory away, unless the
    graph is to be gone through again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        name: str,
        values: np.ndarray,
        batch: Batch,
        normalize: bool,
        infeasible: Infeasible,
        weights: np.ndarray | None,
        finish: Callable[[np.ndarray, Rows], None] | None,
        source: tuple[torch.Tensor | None],
    ) -> torch.Tensor:
        rows = compute_rows(
            values, batch, normalize=normalize, infeasible=infeasible, gradient=ctx.needs_input_grad[0],
            weights=None if finish else weights,
        )  # fmt: skip
        if rows.gradient is not None:
            if finish:
                finish(values, rows)
                if weights is not None:
                    rows.gradient[...] *= weights[:, None, None]
            ctx.save_for_backward(torch.from_numpy(rows.gradient), torch.from_numpy(rows.zero_gradient))
            ctx.like, ctx.loss_name, ctx.source = (logits.device, logits.dtype), name, source[0]
        found = torch.from_numpy(rows.losses)
        if weights is not None:
            found = (found * torch.from_numpy(weights)).sum()
        return found.to(logits.device)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, zero_gradient = ctx.saved_tensors
        with torch.no_grad():
            kept, many = graph_is_kept(), is_batched(upstream)
            weights = upstream.to("cpu", gradient.dtype)
            if kept or many or not bool((weights == 1).all()):
                weights = weights.expand(len(zero_gradient))[:, None].masked_fill(zero_gradient, 0.0)[
                    :, :, None
                ]  # 0 times inf is NaN
                gradient = gradient * weights if kept or many else gradient.mul_(weights)
            gradient = gradient.to(*ctx.like)
        return refuse_double_backward(gradient, ctx.loss_name, ctx.source, upstream), *(None,) * 8
