"""Small trainings for the tests of `watch`: one healthy loop, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor import watch
from seqloss.doctor.watching.follower import Watch

Loss = Callable[[nn.Module, Any], Tensor]


class Network(nn.Module):
    """Dropout and batch norm, so that modes and random states matter."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def make_batches(count: int = 20, rows: int = 12) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, rows, 4, generator=generator)
    targets = torch.stack([inputs[..., 0] - inputs[..., 1] * inputs[..., 2]], -1)
    return list(zip(inputs, targets, strict=True))


def squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def sgd(model: nn.Module, lr: float = 0.02) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def train(
    model: nn.Module,
    *,
    loss: Loss = squared_error,
    batches: Sequence[Any] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 12,
    window: int = 1,
    divide: bool = True,
    zero: Sequence[str] = ("after",),
    clip: float | None = None,
    between: Callable[[], Any] = lambda: None,
    step: bool = True,
    **options: Any,
) -> Watch:
    """A training loop, with the places where loops are broken as options.

    Args:
        zero: where gradients are set to 0: "after" the step, and "each" batch.
        between: called between backward() and step().
    """
    batches = batches or make_batches()
    optimizer = optimizer or sgd(model)
    torch.manual_seed(2)
    with watch(model, optimizer, **{"share": 1.0, "steps": steps, **options}) as watched:
        for number in range(steps * window):
            value = watched.step(loss, batches[number % len(batches)])
            (value / window if divide else value).backward()
            if (number + 1) % window == 0:
                between()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                if step:
                    optimizer.step()
                if "after" in zero:
                    optimizer.zero_grad()
            elif "each" in zero:
                optimizer.zero_grad()
    return watched
