"""Losses by the Triton kernels, behind autograd.

The forward pass leaves what is as large as the labels' scores; the gradient, as large as the logits, is made when it is
asked for, with what comes from upstream in its one write. So the logits are kept for it, and autograd raises, as for
any operation of its own, if they were changed in place meanwhile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.torch._compat import is_batched, is_transformed
from seqloss.torch.arrays import log_softmax_rounding, unreachable_values
from seqloss.torch.ctc import device_arguments
from seqloss.torch.ctc.device_arguments import Given
from seqloss.torch.no_double_backward import refuse_double_backward

SOFTMAX, POSTERIOR, TORCHS = 0, 1, 2
"""`seqloss.kernels.triton.ctc.gradient`'s words for what the gradient is."""
INFEASIBLE: dict[str, int] = {"inf": 0, "zero": 1, "raise": 2}
"""`seqloss.kernels.triton.ctc.loss`' words for what a row without a path is."""


class Options(NamedTuple):
    """What is no tensor; the result is multiplied by `weight`."""

    name: str
    blank: int
    normalize: bool
    infeasible: int
    reduction: Reduction
    weight: float
    rounding: float | None
    mode: int
    gradient: bool


def compute_losses_on_gpu(
    name: str,
    logits: torch.Tensor,
    given: Given,
    *,
    normalize: bool,
    infeasible: Infeasible,
    validate: bool,
    reduction: Reduction = "none",
    denominator: float | None = None,
    mode: int | None = None,
) -> torch.Tensor:
    """The loss of each row, (batch,), or one number of them all, that brings its gradient to the logits.

    Args: as `seqloss.torch.ctc.rows.compute_losses`; a `mode` of None is SOFTMAX with `normalize`, else POSTERIOR.
    """
    logits = logits.resolve_neg()
    refuse(name, logits, given, normalize=normalize, infeasible=infeasible, validate=validate)
    options = Options(
        name, given.blank, normalize, INFEASIBLE[infeasible], reduction, 1.0 / (denominator or 1.0),
        slack(logits, normalize, validate), (SOFTMAX if normalize else POSTERIOR) if mode is None else mode,
        torch.is_grad_enabled() and logits.requires_grad,
    )  # fmt: skip
    found: torch.Tensor = _Losses.apply(logits, *given[:3], counted(given, reduction), options)
    if infeasible == "raise":
        _raise_if_closed(found, logits, given, normalize)
    return found


def compute_posteriors_on_gpu(
    name: str, logits: torch.Tensor, given: Given, *, normalize: bool, infeasible: Infeasible, validate: bool
) -> torch.Tensor:
    """The posteriors of all classes, float32 (batch, time, classes)."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    refuse(name, logits, given, normalize=normalize, infeasible=infeasible, validate=validate)
    logits = logits.detach().resolve_neg()
    found, residuals = ctc.forward(
        logits, *given[:3], blank=given.blank, normalize=normalize, infeasible=INFEASIBLE[infeasible],
        rounding=slack(logits, normalize, validate), gradient=True,
    )  # fmt: skip
    assert residuals is not None
    if infeasible == "raise":
        _raise_if_closed(found.losses, logits, given, normalize)
    upstream = torch.full_like(found.losses, -1.0)
    return ctc.backward(logits, residuals, upstream, blank=given.blank, mode=POSTERIOR, dtype=torch.float32)


def counted(given: Given, reduction: Reduction) -> torch.Tensor | None:
    """What a reduction counts for labels where that is not the targets' lengths."""
    others = contract.DIVISORS[reduction].counts_labels and given.label_counts is not given.target_lengths
    return given.label_counts if others else None


def slack(logits: torch.Tensor, normalize: bool, validate: bool) -> float | None:
    """With what slack a frame's sum is looked at, if at all."""
    return log_softmax_rounding(logits.dtype) if validate and not normalize else None


def refuse(
    name: str, logits: torch.Tensor, given: Given, *, normalize: bool, infeasible: Infeasible, validate: bool
) -> None:
    """Raise for what the host can see beyond what labels and lengths are.

    Raises:
        InfeasibleError: too few frames for a row's labels, with infeasible="raise".
        NormalizationError: scores on the CPU that are no log-probabilities.
        RuntimeError: one of torch.func's transforms.
    """
    if is_transformed(logits):
        raise unreachable_values(name)
    if given.host is None:
        return
    if validate and not normalize and not device_arguments.hidden(logits):
        values = logits.detach().float().resolve_neg().numpy()
        contract.check_normalized(values, given.host.logit_lengths, log_softmax_rounding(logits.dtype))
    if infeasible == "raise":
        contract.refuse_too_few_frames(tuple(logits.shape), given.host)


def weighed(numbers: torch.Tensor, weight: float) -> torch.Tensor:
    """Their product, without a kernel for the weight 1."""
    return numbers if weight == 1.0 else numbers * weight


def _raise_if_closed(found: torch.Tensor, logits: torch.Tensor, given: Given, normalize: bool) -> None:
    """Of the rows that are NaN for having no path, name the first, where that can be seen without a wait."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    if given.host is None or device_arguments.hidden(logits) or not bool(found.isnan().any()):
        return
    plain, _ = ctc.forward(logits.detach(), *given[:3], blank=given.blank, normalize=normalize, gradient=False)
    closed = plain.losses.isinf().nonzero()
    if len(closed):
        raise contract.infeasible_row(int(closed[0, 0]), given.host)


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        targets: torch.Tensor,
        logit_lengths: torch.Tensor | None,
        target_lengths: torch.Tensor | None,
        label_counts: torch.Tensor | None,
        options: Options,
    ) -> torch.Tensor:
        from seqloss.kernels.triton.ctc import replay

        found = replay.forward(
            logits, targets, logit_lengths, target_lengths, label_counts, blank=options.blank,
            normalize=options.normalize, infeasible=options.infeasible, reduction=options.reduction,
            rounding=options.rounding, gradient=options.gradient,
        )  # fmt: skip
        if options.gradient:
            ctx.save_for_backward(logits, found.residuals)
            ctx.options, ctx.layout, ctx.plan = options, found.layout, found.plan
        return weighed(found.result, options.weight)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        from seqloss.kernels.triton.ctc import replay

        logits, residuals = (
            tensor.resolve_neg() for tensor in ctx.saved_tensors
        )  # a hook may have saved what it liked
        options: Options = ctx.options
        with torch.no_grad():
            weights = weighed(upstream.resolve_neg(), options.weight)
            if is_batched(weights):
                gradient = _many(logits, replay.unpack_residuals(residuals, ctx.layout), weights, options)
            else:
                gradient = replay.backward(
                    logits, residuals, ctx.layout, ctx.plan, weights, blank=options.blank, mode=options.mode
                )
        return refuse_double_backward(gradient, options.name, logits, upstream), None, None, None, None, None


def _many(logits: torch.Tensor, residuals: Any, upstream: torch.Tensor, options: Options) -> torch.Tensor:
    """For many upstream gradients at once, which no kernel sees: that of each loss itself, multiplied by torch."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    ones = torch.ones(len(logits), device=logits.device)
    one = ctc.backward(logits, residuals, ones, blank=options.blank, mode=options.mode, dtype=torch.float32)
    unused = torch.arange(logits.shape[1], device=logits.device) >= residuals.frames[:, None]
    zero_gradient = (unused | (residuals.status == 1)[:, None])[:, :, None]
    rows = upstream.expand(len(logits))[:, None, None]
    return (one * rows.masked_fill(zero_gradient, 0.0)).to(logits.dtype)
