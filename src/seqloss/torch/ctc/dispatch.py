"""Which implementation computes a loss: the CPU kernel, the Triton kernels, or operators for compilers."""

from __future__ import annotations

import torch

from seqloss.torch._compat import differentiating_transform, has_tangent, transforms_are_active
from seqloss.torch.arrays import IntegerArray
from seqloss.torch.ctc.autograd import Losses, as_tensors
from seqloss.torch.ctc.cpu_autograd import compute_losses_on_cpu
from seqloss.torch.ctc.device_arguments import check_traced_forms, read_device_arguments, runs_on_triton
from seqloss.torch.ctc.gpu_autograd import compute_losses_on_gpu
from seqloss.torch.ctc.operators import compute_losses_by_operator
from seqloss.torch.ctc.row_tensors import Options
from seqloss.torch.tracing import is_plain_meta, is_traced


def compute_losses(
    logits: torch.Tensor, targets: IntegerArray, logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None, options: Options,
) -> torch.Tensor:  # fmt: skip
    """The loss of each row, (batch,), or their reduction, with a graph to the logits."""
    if torch.compiler.is_compiling() and differentiating_transform():
        raise RuntimeError(
            f"{options.name}: torch.compile cannot differentiate it by {differentiating_transform()} inside of the "
            "compiled program; compile the loss alone and apply the transform outside, or leave out torch.compile."
        )
    given = (logits, targets, logit_lengths, target_lengths, options)
    if not torch.compiler.is_compiling() and (transforms_are_active() or has_tangent(logits)):
        check_traced_forms(
            logits, *as_tensors(given[1:4]), blank=options.blank
        )  # inside of vmap these are one sample's
        losses = Losses.apply(*given)[0]
        return losses if options.reduction == "none" else losses.sum()
    if is_traced(options.name, *given[:4]):
        if is_plain_meta(logits):  # a compiled program checks when it runs
            read_device_arguments(*given[:4], blank=options.blank, validate=options.validate)
        return compute_losses_by_operator(*given)
    if runs_on_triton(logits):
        return compute_losses_on_gpu(*given)
    return compute_losses_on_cpu(*given)
