"""The loss of a linear layer's output with autograd: first derivatives in reverse mode.

The reduction decides when the gradients are computed. A reduced loss has one upstream gradient, which is a factor of
all gradients. So the forward pass computes them. With reduction="none" the backward pass does, and computes the logits
again.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss.torch._compat import graph_is_kept, has_tangent, is_batched
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.ctc.linear_chunks import LayerLoss, compute_in_chunks, new_gradients
from seqloss.torch.last_derivative import refuse_derivative, refuse_detached


class LinearLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, call: LayerLoss
    ) -> torch.Tensor:
        ctx.call = call
        # of half types in backward: the gradient is rounded after the upstream factor, which may be a loss scale
        now = call.gradient and call.reduced and COMPUTED_IN[hidden.dtype] == hidden.dtype
        gradients = new_gradients(hidden, weight, bias, ctx.needs_input_grad) if now else None
        losses = compute_in_chunks(hidden, weight, bias, call, call.weights, gradients)
        if call.gradient:
            ctx.save_for_backward(hidden, weight, bias, *(gradients or ()))
        return losses.sum() if call.reduced else losses

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias, *saved = ctx.saved_tensors
        call: LayerLoss = ctx.call
        batched = is_batched(upstream)
        if has_tangent(upstream) or (batched and not saved):
            raise RuntimeError(
                "linear_ctc_loss works in plain backward alone; use ctc_loss on the layer's output in forward mode and "
                "for batches of gradients (is_grads_batched=True)."
            )
        with torch.no_grad():
            # 0 times inf is NaN: then the rows without a gradient must be computed again
            if saved and (batched or bool(upstream.isfinite())):
                found = [_multiply(x, upstream, graph_is_kept() or batched) for x in saved]
            else:
                gradients = new_gradients(hidden, weight, bias, ctx.needs_input_grad)
                compute_in_chunks(hidden, weight, bias, call, call.weights * upstream.cpu().double(), gradients)
                found = list(gradients)
            found = [x if x is None else x.to(hidden.dtype) for x in found]
        if torch.is_grad_enabled():
            for x, needed in zip((hidden, weight, bias), ctx.needs_input_grad[:3], strict=True):
                if needed:
                    refuse_detached("linear_ctc_loss", x)
            arguments = (x for x in (hidden, weight, bias, upstream) if x is not None)
            guards = [refuse_derivative(x, NO_SECOND_DERIVATIVE) for x in arguments]
            found = [x if x is None else _Guarded.apply(x, *guards) for x in found]
        return *found, None


def _multiply(gradient: torch.Tensor | None, upstream: torch.Tensor, kept: bool) -> torch.Tensor | None:
    """The gradient times the upstream gradient, in place unless backward may run again."""
    if gradient is None:
        return None
    if upstream.is_cpu and not kept and upstream.item() == 1.0:
        return gradient
    factor = upstream.to(gradient.dtype)
    return gradient * factor if kept else gradient.mul_(factor)


class _Guarded(torch.autograd.Function):
    """A gradient whose derivative raises: see `refuse_derivative`."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, *guards: torch.Tensor) -> torch.Tensor:
        ctx.shapes = [guard.shape for guard in guards]
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *(upstream.new_zeros(shape) for shape in ctx.shapes)


NO_SECOND_DERIVATIVE = (
    "linear_ctc_loss has no second derivative: its gradient was taken with create_graph=True and is now being "
    "differentiated; use ctc_loss on the layer's output, which has one, or detach that gradient."
)
