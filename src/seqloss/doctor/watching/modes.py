"""Whether the model is in training mode where it is trained, and in evaluation mode where it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from seqloss.doctor.findings import Finding

CODE = "print(model.training)"

SELDOM = 0.5
"""Share of steps: calls without gradients at more of them belong to the training, as those of a GAN's generator."""


def has_modes(model: nn.Module) -> bool:
    """Whether the mode changes what the model computes: dropout, or statistics of a batch."""
    norms = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    return any(
        (isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0)
        or (isinstance(module, norms) and module.track_running_stats)
        or (isinstance(module, nn.RNNBase) and module.dropout > 0)
        for module in model.modules()
    )


class Modes:
    """Collects calls in the wrong mode.

    Attributes:
        trained: step whose gradient was taken in evaluation mode.
        evaluated: steps after which the model was called without gradients in training mode.
    """

    def __init__(self) -> None:
        self.trained: int | None = None
        self.evaluated: set[int] = set()

    @property
    def has_seen(self) -> bool:
        return self.trained is not None or bool(self.evaluated)

    def see_call(self, model: nn.Module, number: int) -> None:
        """A call of the model that is no training step's."""
        if model.training and not torch.is_grad_enabled() and not _averages_statistics(model):
            self.evaluated.add(number)

    def check(self, number: int, *, is_end: bool = False) -> Iterator[Finding]:
        if self.trained is not None:
            yield Finding(
                "trained-in-evaluation-mode", "error", {"step": self.trained},
                "the model is trained in evaluation mode: without dropout, and with the running statistics of batch "
                "norms",
                "Call model.train() at the beginning, and after each evaluation", CODE,
            )  # fmt: skip
        is_due = self.evaluated and (is_end or number > min(self.evaluated) + 1)
        if is_due and len(self.evaluated) <= max(1, SELDOM * number):
            yield Finding(
                "evaluated-in-training-mode", "warning", {"step": min(self.evaluated)},
                "the model is called without gradients in training mode: dropout is on, and batch norms learn from "
                "held-out data",
                "Call model.eval() before each evaluation, and model.train() after it", CODE,
            )  # fmt: skip


def _averages_statistics(model: nn.Module) -> bool:
    """Whether batch norms take new statistics on purpose, as torch.optim.swa_utils.update_bn does."""
    return any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is None for module in model.modules()
    )
