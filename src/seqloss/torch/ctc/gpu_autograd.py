"""Losses by the Triton kernels with autograd.

The forward pass stores residuals of the size of the labels' scores. The backward pass computes the gradient, of the
size of the logits: one kernel writes it times the upstream gradient. So the logits are saved, and autograd raises if
they were changed in place meanwhile, as for its own operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from seqloss.contract import Reduction
from seqloss.kernels.ctc.second_derivative import EXP
from seqloss.torch._compat import is_batched, needs_graph
from seqloss.torch.ctc import gpu
from seqloss.torch.ctc.autograd import Gradients
from seqloss.torch.ctc.device_arguments import read_device_arguments
from seqloss.torch.ctc.gpu_rows import compute_gpu_rows
from seqloss.torch.ctc.row_tensors import Options, multiply_rows
from seqloss.torch.last_derivative import refuse_detached


class _Call(NamedTuple):
    """The arguments that are not tensors; the result is multiplied by `weight`."""

    blank: int
    normalize: bool
    infeasible: int
    reduction: Reduction
    weight: float
    rounding: float | None
    mode: int
    gradient: bool


def compute_losses_on_gpu(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
) -> torch.Tensor:
    """The loss of each row, (batch,), or their reduction, with a graph to the logits."""
    logits = logits.resolve_neg()
    given = read_device_arguments(
        logits, targets, logit_lengths, target_lengths, blank=options.blank, validate=options.validate
    )
    validate = options.validate and options.gradient != EXP  # the scores of CTCLoss need not be log-probabilities
    gpu.refuse(
        options.name, logits, given, normalize=options.normalize, infeasible=options.infeasible, validate=validate
    )
    call = _Call(
        given.blank, options.normalize, gpu.INFEASIBLE[options.infeasible], options.reduction,
        1.0 / (options.denominator or 1.0), gpu.slack(logits, options.normalize, validate), options.gradient,
        torch.is_grad_enabled() and logits.requires_grad,
    )  # fmt: skip
    found: torch.Tensor = _Losses.apply(logits, *given[:3], gpu.counted(given, options.reduction), call, options)
    if options.infeasible == "raise":
        gpu.raise_if_infeasible(found, logits, given, options.normalize)
    return found


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        targets: torch.Tensor,
        logit_lengths: torch.Tensor | None,
        target_lengths: torch.Tensor | None,
        label_counts: torch.Tensor | None,
        call: _Call,
        options: Options,
    ) -> torch.Tensor:
        from seqloss.kernels.triton.ctc import replay

        found = replay.forward(
            logits, targets, logit_lengths, target_lengths, label_counts, blank=call.blank, normalize=call.normalize,
            infeasible=call.infeasible, reduction=call.reduction, rounding=call.rounding, gradient=call.gradient,
        )  # fmt: skip
        if call.gradient:
            ctx.save_for_backward(logits, found.residuals, targets, logit_lengths, target_lengths)
            ctx.call, ctx.options, ctx.layout, ctx.plan = call, options, found.layout, found.plan
        return gpu.weighed(found.result, call.weight)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        from seqloss.kernels.triton.ctc import replay

        logits, residuals, *given = ctx.saved_tensors
        call: _Call = ctx.call
        logits, residuals = logits.resolve_neg(), residuals.resolve_neg()  # a hook may have saved something else
        weights = gpu.weighed(upstream.resolve_neg(), call.weight)
        if needs_graph():  # create_graph=True, or forward mode
            own = replay.unpack_residuals(residuals, ctx.layout).weights
            rows = weights if own is None else weights * own
            return _with_a_graph(ctx.options, rows, logits, *given), *(None,) * 6
        if is_batched(weights):
            gradient = _many(logits, replay.unpack_residuals(residuals, ctx.layout), weights, call)
        else:
            gradient = replay.backward(
                logits, residuals, ctx.layout, ctx.plan, weights, blank=call.blank, mode=call.mode
            )
        return gradient, *(None,) * 6


def _with_a_graph(
    options: Options, upstream: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor,
    logit_lengths: torch.Tensor | None, target_lengths: torch.Tensor | None,
) -> torch.Tensor:  # fmt: skip
    """The gradient of sum(upstream * loss), computed anew, so that it can be differentiated."""
    refuse_detached(options.name, logits)
    plain = options._replace(reduction="none", denominator=None, validate=False)
    with torch.no_grad():
        _, *rows = compute_gpu_rows(logits, targets, logit_lengths, target_lengths, plain)
    gradient = Gradients.apply(logits, *rows, plain)
    factor = rows[1]
    return multiply_rows(gradient, upstream.expand(len(logits)), factor).to(logits.dtype)


def _many(logits: torch.Tensor, residuals: Any, upstream: torch.Tensor, call: _Call) -> torch.Tensor:
    """The gradient for many upstream gradients at once: each row's own gradient, multiplied by PyTorch."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    ones = torch.ones(len(logits), device=logits.device)
    one = ctc.backward(logits, residuals, ones, blank=call.blank, mode=call.mode, dtype=torch.float32)
    zero_gradient = gpu.zero_gradient(residuals, logits.shape[1])[:, :, None]
    rows = upstream.expand(len(logits))[:, None, None]
    return (one * rows.masked_fill(zero_gradient, 0.0)).to(logits.dtype)
