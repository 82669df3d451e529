"""warp-ctc, by its binding for PyTorch."""

from __future__ import annotations

import numpy as np


def loss(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
) -> tuple[np.ndarray, np.ndarray]:
    """It takes logits (time, batch, classes) and concatenated int32 targets."""
    import torch
    from warpctc_pytorch import cpu_ctc

    scores = torch.from_numpy(logits).transpose(0, 1).contiguous()
    labels = np.concatenate([row[:n] for row, n in zip(targets, target_lengths, strict=True)])
    gradient, losses = torch.zeros_like(scores), torch.zeros(len(logits))
    integers = [torch.from_numpy(values.astype(np.int32)) for values in (labels, target_lengths, logit_lengths)]
    cpu_ctc(scores, gradient, *integers, len(logits), losses, blank)
    return losses.numpy(), gradient.transpose(0, 1).numpy()
