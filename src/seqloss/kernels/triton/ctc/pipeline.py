"""CTC from logits to loss, and from there, once upstream is known, to the gradient.

Kernel after kernel on the current stream, each finding on the device what the one before left: nothing is copied to the
host, no size depends on a value, so that a call may be captured in a CUDA graph. What does not fit is torch's own
out-of-memory error; all outputs are allocated by then or nothing has been handed out.
"""

import torch

from seqloss.contract import Reduction
from seqloss.kernels.triton.ctc import main_path
from seqloss.kernels.triton.ctc.by_class import find_posteriors
from seqloss.kernels.triton.ctc.frames import frame_pass
from seqloss.kernels.triton.ctc.gradient import write_gradient
from seqloss.kernels.triton.ctc.loss import INF, Losses, find_losses
from seqloss.kernels.triton.ctc.posteriors import find_shares
from seqloss.kernels.triton.ctc.prepared_targets import contiguous, prepare_targets
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.kernels.triton.ctc.sums import sum_paths
from seqloss.kernels.triton.launch import on


def forward(
    logits: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None,
    label_counts: torch.Tensor | None = None,
    *,
    blank: int,
    normalize: bool,
    infeasible: int = INF,
    reduction: Reduction = "none",
    rounding: float | None = None,
    gradient: bool,
) -> tuple[Losses, Residuals | None]:
    """Each row's loss, and their reduction; with `gradient`, what `backward` needs.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        targets: integers (batch, labels); logit_lengths, target_lengths: integers (batch,), None for all of an axis; on
            the logits' device. Rows in which they break the contract are NaN.
        label_counts: integers (batch,), what the reduction counts where that is not target_lengths.
        blank: from 0.
        normalize: as in the contract.
        infeasible: `loss.INF`, `ZERO` or `NAN`.
        reduction: as in the contract.
        rounding: see `frames.frame_pass`.
    """
    classes = logits.shape[2]
    counted = contiguous(target_lengths if label_counts is None else label_counts)
    with on(logits.device):
        prepared = prepare_targets(
            targets, logit_lengths, target_lengths, time=logits.shape[1], classes=classes, blank=blank, grouped=gradient
        )
        frames = frame_pass(
            logits,
            prepared.frames,
            prepared.labels,
            prepared.counts,
            blank=blank,
            normalize=normalize,
            rounding=rounding,
        )
        main = main_path.find(frames, prepared, blank=blank, normalize=normalize)
        sums = sum_paths(frames, prepared, main, keep_states=gradient)
        losses = find_losses(
            sums.ends, main, counted, normalize=normalize, infeasible=infeasible, reduction=reduction,
            longest=targets.shape[1],
        )  # fmt: skip
        if not gradient:
            return losses, None
        shares = find_shares(frames, prepared, main, sums, losses.references)
        found = find_posteriors(shares, prepared, losses, classes=classes, blank=blank)
        assert prepared.groups is not None
        return losses, Residuals(
            frames.top, frames.others, *found, prepared.labels, prepared.groups.leaders, prepared.frames,
            prepared.counts, losses.status, losses.weights,
        )  # fmt: skip


def backward(
    logits: torch.Tensor,
    residuals: Residuals,
    upstream: torch.Tensor,
    *,
    blank: int,
    mode: int,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """The gradient of sum(upstream * loss), or of upstream times what they were reduced to: see `write_gradient`."""
    with on(logits.device):
        return write_gradient(logits, residuals, upstream, blank=blank, mode=mode, dtype=dtype)
