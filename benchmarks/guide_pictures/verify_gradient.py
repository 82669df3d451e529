"""Gradients of three CTC losses beside numeric derivatives: right, softmax twice, and log-probabilities expected."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.torch import ctc_loss

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2, 3]]), torch.tensor([12]), torch.tensor([4])


def right(logits: torch.Tensor) -> torch.Tensor:
    return ctc_loss(logits, TARGETS, FRAMES, LABELS)[0]


def twice(logits: torch.Tensor) -> torch.Tensor:
    return right(logits.softmax(2))


def without_softmax(logits: torch.Tensor) -> torch.Tensor:
    """torch's loss takes log-probabilities and does not notice that these are none."""
    return torch.nn.functional.ctc_loss(logits.transpose(0, 1), TARGETS, FRAMES, LABELS, reduction="sum")


def draw() -> Figure:
    torch.manual_seed(0)
    logits = torch.randn(1, 12, 5, dtype=torch.float64)
    wanted = numeric_gradient(logits)
    figure, axes = pyplot.subplots(1, 3, figsize=(5.6, 2.6), sharex=True, sharey=True, layout="constrained")
    losses = {"seqloss on logits": right, "softmax twice": twice, "torch on logits": without_softmax}
    for axis, (name, loss) in zip(axes, losses.items(), strict=True):
        x = logits.clone().requires_grad_()
        (found,) = torch.autograd.grad(loss(x), x)
        error = float((found - wanted).abs().max())
        axis.axline((0, 0), slope=1, color="silver", linewidth=0.8)
        axis.plot(wanted.flatten(), found.flatten(), ".", color="tab:blue" if error < 1e-6 else "tab:red")
        axis.set(title=f"{name}\nlargest error {error:.1g}", xlabel="numeric derivative", xticks=(-0.5, 0, 0.5))
    axes[0].set_ylabel("gradient")
    return figure


def numeric_gradient(logits: torch.Tensor, step: float = 1e-5) -> torch.Tensor:
    """Central differences of the right loss."""
    found = np.zeros(logits.numel())
    for place in range(logits.numel()):
        shift = torch.zeros(logits.numel(), dtype=logits.dtype)
        shift[place] = step
        up, down = (float(right(logits + sign * shift.view_as(logits))) for sign in (1, -1))
        found[place] = (up - down) / (2 * step)
    return torch.from_numpy(found).view_as(logits)
