"""CTC from logits to loss, and, once the upstream gradient is known, to the gradient.

The kernels run one after another on the current stream and pass their results in device memory. Nothing is copied to
the host, and no size depends on a value, so that a call can be captured in a CUDA graph. If memory runs out, torch
raises its own error before any result is returned.
"""

import torch

from seqloss.contract import Reduction
from seqloss.kernels.triton.ctc import main_path
from seqloss.kernels.triton.ctc.by_class import find_posteriors
from seqloss.kernels.triton.ctc.frames import measure_frames
from seqloss.kernels.triton.ctc.gradient import write_gradient
from seqloss.kernels.triton.ctc.loss import INF, Losses, find_losses
from seqloss.kernels.triton.ctc.posteriors import find_shares
from seqloss.kernels.triton.ctc.prepared_targets import contiguous_lengths, prepare_targets
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.kernels.triton.ctc.sums import sum_paths
from seqloss.kernels.triton.launch import on_device


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
    """The loss of each row and the reduction; with `gradient`, also the residuals for `backward`.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        targets: integers (batch, labels); logit_lengths, target_lengths: integers (batch,), None for all of an axis; on
            the logits' device. Invalid rows are NaN.
        label_counts: integers (batch,), the labels that count for the reduction; None for target_lengths.
        blank: from 0.
        normalize: as in the contract.
        infeasible: `loss.INF`, `ZERO` or `NAN`.
        reduction: as in the contract.
        rounding: see `frames.measure_frames`.
    """
    classes = logits.shape[2]
    counted = contiguous_lengths(target_lengths if label_counts is None else label_counts)
    with on_device(logits.device):
        prepared = prepare_targets(
            targets, logit_lengths, target_lengths, time=logits.shape[1], classes=classes, blank=blank, grouped=gradient
        )
        frames = measure_frames(
            logits,
            prepared.frames,
            prepared.labels,
            prepared.counts,
            blank=blank,
            normalize=normalize,
            rounding=rounding,
        )
        main = main_path.find_main_path(frames, prepared, blank=blank, normalize=normalize)
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
    """The gradient of sum(upstream * loss), or of upstream times the reduced loss: see `write_gradient`."""
    with on_device(logits.device):
        return write_gradient(logits, residuals, upstream, blank=blank, mode=mode, dtype=dtype)
