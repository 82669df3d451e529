"""Losses and gradients of a batch of tensors by the Triton kernels, without autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.kernels.ctc.second_derivative import EXP
from seqloss.torch.ctc import device_arguments, gpu
from seqloss.torch.ctc.row_tensors import Options, RowTensors, lengths_or_whole, pack_integers


def compute_gpu_rows(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options,
    weights: np.ndarray | None = None, *, gradient: bool = True,
) -> RowTensors:  # fmt: skip
    """Losses, and with `gradient` gradients, by the Triton kernels. Nothing waits for the device."""
    from seqloss.kernels.triton.ctc import pipeline

    if options.groups > 1 and isinstance(targets, torch.Tensor) and targets.ndim == 1:  # each batch has its own
        pairs = zip(targets.chunk(options.groups), target_lengths.chunk(options.groups), strict=True)
        padded = [device_arguments.pad_rows(*pair, logits.shape[1]) for pair in pairs]
        targets, target_lengths = (torch.cat(parts) for parts in zip(*padded, strict=True))
    given = device_arguments.read_device_arguments(
        logits, targets, logit_lengths, target_lengths, blank=options.blank, validate=options.validate
    )
    gpu.refuse(
        options.name, logits, given, normalize=options.normalize, infeasible=options.infeasible,
        validate=options.validate and options.gradient != EXP,
    )  # fmt: skip
    logits = logits.detach().resolve_neg()
    slack = gpu.slack(logits, options.normalize or options.gradient == EXP, options.validate)
    found, residuals = pipeline.forward(
        logits, *given[:3], blank=given.blank, normalize=options.normalize,
        infeasible=gpu.INFEASIBLE[options.infeasible], rounding=slack, gradient=gradient,
    )  # fmt: skip
    if weights is None:
        factors = _device_weights(logits, given, options)
    else:
        factors = torch.from_numpy(weights.astype(np.float32)).to(logits.device, non_blocking=True)
    losses = found.losses * factors
    if residuals is None:
        return RowTensors(losses, losses.new_empty(0), losses.new_empty(0), pack_integers(logits, given))
    gradients = pipeline.backward(
        logits, residuals, factors, blank=given.blank, mode=options.gradient, dtype=torch.float32
    )
    factor = factors[:, None].masked_fill(gpu.zero_gradient(residuals, logits.shape[1]), 0.0)
    return RowTensors(losses, gradients, factor, pack_integers(logits, given))


def _device_weights(logits: torch.Tensor, given: device_arguments.Given, options: Options) -> torch.Tensor:
    rows = logits.shape[0] // options.groups
    counts = lengths_or_whole(given.label_counts, given.targets.shape[1], logits).reshape(options.groups, rows)
    divisor = contract.reduction_divisor(
        options.reduction, counts.float(), rows, options.denominator, maximum=_maximum,
        total=lambda x: x.sum(1, keepdim=True),
    )  # fmt: skip
    ones = torch.ones((options.groups, rows), device=logits.device)
    return (ones / divisor).reshape(-1)


def _maximum(x: Any, least: int) -> Any:
    return x.clamp(min=least) if isinstance(x, torch.Tensor) else max(x, least)
