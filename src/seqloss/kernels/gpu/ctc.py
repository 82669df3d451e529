"""CTC from logits to loss, and from there, once upstream is known, to the gradient.

Kernel after kernel on the current stream, each finding on the device what the one before left: nothing is copied to the
host, no size depends on a value, so that a call may be captured in a CUDA graph. What does not fit is torch's own
out-of-memory error; all outputs are allocated by then or nothing has been handed out.
"""

import torch

from seqloss.kernels.gpu import main_path
from seqloss.kernels.gpu.by_class import find_posteriors
from seqloss.kernels.gpu.frames import frame_pass
from seqloss.kernels.gpu.gradient import Kept, write_gradient
from seqloss.kernels.gpu.launch import on
from seqloss.kernels.gpu.loss import INF, Losses, find_losses
from seqloss.kernels.gpu.posteriors import find_shares
from seqloss.kernels.gpu.sums import sum_paths
from seqloss.kernels.gpu.text import group, read_text


def forward(
    logits: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None,
    *,
    blank: int,
    normalize: bool,
    infeasible: int = INF,
    rounding: float | None = None,
    gradient: bool,
) -> tuple[Losses, Kept | None]:
    """Each row's loss; with `gradient`, what `backward` needs.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        targets: integers (batch, labels); logit_lengths, target_lengths: integers (batch,), None for all of an axis; on
            the logits' device. Rows in which they break the contract are NaN.
        blank: from 0.
        normalize: as in the contract.
        infeasible: `loss.INF`, `ZERO` or `NAN`.
        rounding: see `frames.frame_pass`.
    """
    with on(logits.device):
        text = read_text(
            targets, logit_lengths, target_lengths, time=logits.shape[1], classes=logits.shape[2], blank=blank
        )
        frames = frame_pass(
            logits, text.frames, text.labels, text.counts, blank=blank, normalize=normalize, rounding=rounding
        )
        main = main_path.find(frames, text, blank=blank, normalize=normalize)
        sums = sum_paths(frames, text, main, keep_states=gradient)
        losses = find_losses(sums.ends, main, normalize=normalize, infeasible=infeasible)
        if not gradient:
            return losses, None
        classes = logits.shape[2]
        groups = group(text, classes)
        shares = find_shares(frames, text, main, sums, losses.references)
        found = find_posteriors(shares, text, groups, losses, classes=classes, blank=blank)
        return losses, Kept(
            frames.top, frames.others, *found, text.labels, groups.leaders, text.frames, text.counts, losses.status
        )


def backward(
    logits: torch.Tensor, kept: Kept, upstream: torch.Tensor, *, blank: int, mode: int, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """The gradient of sum(upstream * loss): see `gradient.write_gradient`."""
    with on(logits.device):
        return write_gradient(logits, kept, upstream, blank=blank, mode=mode, dtype=dtype)
