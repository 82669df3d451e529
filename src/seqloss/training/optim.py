"""Optimizers by name, and the learning rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from seqloss.torch.optim import SMORMS3
from seqloss.training.settings import TrainingSettings

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adamw": (torch.optim.AdamW, {}),
    "adam": (torch.optim.Adam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "smorms3": (SMORMS3, {}),
}
"""Each with its class and arguments; `seqloss.training.settings.LEARNING_RATES` has the learning rates."""


def make_optimizer(settings: TrainingSettings, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the settings over a module's parameters."""
    kind, arguments = OPTIMIZERS[settings.optimizer]
    return kind(module.parameters(), lr=settings.learning_rate, **arguments)  # type: ignore[call-arg]


def warmup_then_cosine(step: int, steps: int) -> float:
    """Factor of the learning rate: linear warm-up over the first tenth, then a half cosine down to a hundredth."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm)))) / 2


def with_schedule(optimizer: torch.optim.Optimizer, factor: Callable[[int], float]) -> Any:
    """An optimizer and its schedule per step, as Lightning wants them."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
