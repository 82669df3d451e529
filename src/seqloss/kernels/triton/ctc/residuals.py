"""The tensors that the forward pass stores for the gradient. This file does not import Triton."""

from __future__ import annotations

from typing import NamedTuple

import torch

from seqloss.contract import DIVISORS, Reduction


class Residuals(NamedTuple):
    """The input of the gradient, besides the logits.

    Attributes:
        top, others: float32 (batch, time), see `frames.Frames`.
        posteriors: float32 (batch, time, labels + 1), likeliest: int32 (batch, time), complement: float32 (batch,
            time), see `by_class.Posteriors`.
        labels: int32 (batch, labels), see `prepared_targets.PreparedTargets`; leaders: see `prepared_targets.Groups`.
        frames, counts: int32 (batch,), in use.
        status: int8 (batch,); weights: float32 (batch,) or None: see `loss.Losses`.
    """

    top: torch.Tensor
    others: torch.Tensor
    posteriors: torch.Tensor
    likeliest: torch.Tensor
    complement: torch.Tensor
    labels: torch.Tensor
    leaders: torch.Tensor
    frames: torch.Tensor
    counts: torch.Tensor
    status: torch.Tensor
    weights: torch.Tensor | None


def empty_residuals(logits: torch.Tensor, longest: int, reduction: Reduction) -> Residuals:
    """Empty tensors with the shapes and types of the residuals, on the logits' device.

    Args:
        logits: (batch, time, classes).
        longest: the size of the labels axis.
    """
    from seqloss.kernels.triton.ctc.prepared_targets import leaders_shape

    batch, time, classes = logits.shape

    def floats(*shape: int) -> torch.Tensor:
        return logits.new_empty(shape, dtype=torch.float32)

    def integers(*shape: int, kind: torch.dtype = torch.int32) -> torch.Tensor:
        return logits.new_empty(shape, dtype=kind)

    shape, kind = leaders_shape(batch, longest, classes)
    return Residuals(
        top=floats(batch, time),
        others=floats(batch, time),
        posteriors=floats(batch, time, longest + 1),
        likeliest=integers(batch, time),
        complement=floats(batch, time),
        labels=integers(batch, longest),
        leaders=integers(*shape, kind=kind),
        frames=integers(batch),
        counts=integers(batch),
        status=integers(batch, kind=torch.int8),
        weights=floats(batch) if has_weights(reduction) else None,
    )


def has_weights(reduction: Reduction) -> bool:
    """Whether rows have weights other than 1."""
    return any(DIVISORS[reduction])
