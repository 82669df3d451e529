"""Losses by the CPU kernel with autograd, in eager mode and outside of torch.func's transforms.

Loss and gradient are computed together, forward, with the weights of the reduction. Backward multiplies by the upstream
gradient, if that is not 1, in the memory that forward has allocated. Only where the gradient gets a graph
(create_graph=True), `Gradients` takes over.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from seqloss.torch._compat import dispatches_operators, graph_is_kept, is_batched, needs_graph
from seqloss.torch.arrays import tensor_to_numpy
from seqloss.torch.ctc.autograd import Gradients
from seqloss.torch.ctc.host_rows import HostRows, compute_host_rows
from seqloss.torch.ctc.row_tensors import Options, multiply_rows


def compute_losses_on_cpu(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
) -> torch.Tensor:
    """The loss of each row, (batch,), or their reduction; with a graph to the logits where they need a gradient."""
    if torch.is_grad_enabled() and isinstance(logits, torch.Tensor) and logits.requires_grad:
        found: torch.Tensor = _Losses.apply(logits, targets, logit_lengths, target_lengths, options)
        return found
    return _result(compute_host_rows(logits, targets, logit_lengths, target_lengths, options, gradient=False), logits)


def _result(host: HostRows, logits: torch.Tensor) -> torch.Tensor:
    losses = host.rows.losses
    if host.weights is not None:
        with np.errstate(all="ignore"):  # an infinite loss, a weight of 0
            losses = np.asarray((losses * host.weights).sum(dtype=losses.dtype))
    return torch.from_numpy(losses).to(logits.device)


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
    ) -> torch.Tensor:
        host = compute_host_rows(logits, targets, logit_lengths, target_lengths, options)
        assert host.rows.gradient is not None
        ctx.save_for_backward(torch.from_numpy(host.rows.gradient))
        # The gradient belongs to autograd alone, which releases it, or leaves it to hooks.
        ctx.host, ctx.options = host.without_gradient(), options
        # Only a second derivative reads the logits: whoever needs none may change them in place.
        ctx.logits, ctx.like, ctx.state = logits, (logits.device, logits.dtype), _state(logits)
        return _result(host, logits)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        if needs_graph():
            result = _with_a_graph(ctx, gradient, upstream)
        elif is_batched(upstream) or dispatches_operators(upstream):
            device, kind = ctx.like
            _, _, factor, _ = ctx.host.tensors(device)
            result = multiply_rows(gradient.to(device), upstream.expand(len(factor)), factor).to(kind)
        else:
            kept = graph_is_kept()
            if not kept:
                ctx.logits = None  # as PyTorch does with saved tensors
            result = _multiply(ctx.host, gradient, upstream, kept).to(*ctx.like)
        return result, None, None, None, None


def _multiply(host: HostRows, gradient: torch.Tensor, upstream: torch.Tensor, kept: bool) -> torch.Tensor:
    """The gradient of each row times the upstream gradient of its loss; exactly 0 where `zero_gradient` is set."""
    if kept:
        gradient = gradient.clone()
    if upstream.ndim == 0:
        factor = upstream.item()
        if factor == 1.0:
            return gradient
        if math.isfinite(factor):
            return gradient.mul_(factor)
    weights = tensor_to_numpy(upstream.detach().to("cpu", gradient.dtype))
    if not (weights == 1.0).all():
        factors = np.where(host.rows.zero_gradient, 0.0, weights.reshape(-1, 1)).astype(weights.dtype)
        gradient.mul_(torch.from_numpy(factors)[:, :, None])  # a factor of 0, because 0 times inf is NaN
    return gradient


def _state(logits: torch.Tensor) -> tuple[Any, ...]:
    """What operations in place change: values, graph (`detach_`, `requires_grad_`) and memory (`logits.data = ...`)."""
    return logits._version, logits.grad_fn, logits.requires_grad, logits.data_ptr()


def _with_a_graph(ctx: Any, gradient: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    """The same product, for the case that it is differentiated."""
    logits: torch.Tensor | None = ctx.logits
    name = ctx.options.name
    if logits is None:
        raise RuntimeError(
            f"{name}: the second derivative needs the logits, which the first backward has released; use "
            "create_graph=True or retain_graph=True there."
        )
    if _state(logits) != ctx.state:
        raise RuntimeError(
            f"{name}: the second derivative needs the logits, which were changed in place after the loss; change a "
            "copy (logits.clone()) instead."
        )
    _, _, factor, integers = ctx.host.tensors(logits.device)
    own = Gradients.apply(logits, gradient.to(logits.device), factor, integers, ctx.options)
    return multiply_rows(own, upstream.expand(len(factor)), factor).to(logits.dtype)
