"""The gradient of a padded batch: past a row's length it is exactly 0, and NaN there changes nothing."""

from __future__ import annotations

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.torch import ctc_loss

FRAMES, TARGETS, LABELS = [40, 26, 33], torch.tensor([[1, 2, 3, 2, 4], [3, 3, 0, 0, 0], [4, 1, 2, 0, 0]]), [5, 2, 3]


def draw() -> Figure:
    torch.manual_seed(0)
    logits = 2 * torch.randn(3, 40, 6)
    for row, frames in enumerate(FRAMES):
        logits[row, frames:] = torch.nan
    logits.requires_grad_()
    losses = ctc_loss(logits, TARGETS, FRAMES, LABELS)
    losses.sum().backward()
    figure, axes = pyplot.subplots(3, 1, figsize=(5.4, 4.2), sharex=True, layout="constrained")
    for row, (axis, frames) in enumerate(zip(axes, FRAMES, strict=True)):
        drawn = axis.imshow(logits.grad[row].T, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
        axis.axvline(frames - 0.5, color="black", linewidth=1)
        if frames < 40:
            axis.text((frames + 39) / 2, 2.5, "NaN in,\n0 out", ha="center", va="center")
        axis.set(ylabel=f"row {row}\nclass", title=f"loss {losses[row].item():.2f} nats, {frames} frames")
        axis.title.set_fontsize(9)
    axes[-1].set_xlabel("frame")
    figure.colorbar(drawn, ax=axes, label="gradient by the scores")
    return figure
