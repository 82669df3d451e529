"""Whether the model is in training mode where it is trained, and in evaluation mode where it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from seqloss.doctor.findings import Finding

CODE = "print(model.training)"


def has_modes(model: nn.Module) -> bool:
    """Whether the mode changes what the model computes: dropout, or statistics of a batch."""
    norms = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    return any(
        (isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0)
        or (isinstance(module, norms) and module.track_running_stats)
        or (isinstance(module, nn.RNNBase) and module.dropout > 0)
        for module in model.modules()
    )


def check_training(model: nn.Module, number: int) -> Iterator[Finding]:
    """A call of the loss whose gradient is taken."""
    if not model.training:
        yield Finding(
            "trained-in-evaluation-mode", "error", {"step": number},
            "the model is trained in evaluation mode: without dropout, and with the running statistics of batch norms",
            "Call model.train() at the beginning, and after each evaluation", CODE,
        )  # fmt: skip


def check_evaluation(model: nn.Module, number: int) -> Iterator[Finding]:
    """A call of the model without gradients."""
    if model.training and not torch.is_grad_enabled():
        yield Finding(
            "evaluated-in-training-mode", "warning", {"step": number},
            "the model is called without gradients in training mode: dropout is on, and batch norms learn from "
            "held-out data",
            "Call model.eval() before each evaluation, and model.train() after it", CODE,
        )  # fmt: skip
