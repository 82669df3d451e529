"""Losses and gradients of a batch of tensors, without autograd, by the kernels for their device."""

from __future__ import annotations

import numpy as np
import torch

from seqloss.torch.arrays import IntegerArray
from seqloss.torch.ctc.device_arguments import runs_on_triton
from seqloss.torch.ctc.gpu_rows import compute_gpu_rows
from seqloss.torch.ctc.host_rows import compute_host_rows
from seqloss.torch.ctc.row_tensors import Options, RowTensors


def compute_rows(
    logits: torch.Tensor, targets: IntegerArray, logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None, options: Options, weights: np.ndarray | None = None, *, gradient: bool = True,
    out: np.ndarray | None = None,
) -> RowTensors:  # fmt: skip
    """Losses, and with `gradient` gradients, by the kernels for the device of the logits; the arguments are checked.

    Args:
        weights: (batch,), instead of those of the reduction.
        out: memory for the gradient on a CPU, see `seqloss.kernels.ctc.batch.loss_and_grad`.
    """
    if runs_on_triton(logits):
        return compute_gpu_rows(logits, targets, logit_lengths, target_lengths, options, weights, gradient=gradient)
    found = compute_host_rows(
        logits, targets, logit_lengths, target_lengths, options, weights, gradient=gradient, out=out
    )
    return found.tensors(logits.device)
