"""`watch`: follow a training, and find out while it runs why it does not learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.follower import Watch
from seqloss.doctor.watching.looks import SHARE


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    held_out: Any = None,
    scaler: Any = None,
    blank: int | None = None,
    steps: int | None = None,
    share: float = SHARE,
    on_finding: Callable[[Finding], None] | None = None,
) -> Watch:
    """Follow a training step by step, and name what goes wrong while it runs.

    At the first steps, the gradient that reaches the optimiser is compared with the gradient of the loss, computed
    again. At the first step and at later ones, farther and farther apart, the model is looked at on a few rows: inputs
    are exchanged between rows, outputs compared with targets, activations and updates measured. Weights, buffers and
    random states are the same as without, to the bit.

    Args:
        model: that is trained.
        optimizer: that trains it.
        held_out: a batch that is not trained on, of the same kind; otherwise rows of the next batch are used.
        scaler: torch.amp.GradScaler of the training.
        blank: class of the blank, for models that are trained with CTC.
        steps: of the optimiser in the whole training, if it is known.
        share: of the training's time that looking may take.
        on_finding: called with each finding at once; otherwise they are only kept in `findings`.

    Returns:
        A context manager with `step(loss, batch)`, which computes the loss, and `findings`.

    Raises:
        DTypeError: the model is not a torch.nn.Module, or the optimiser no torch.optim.Optimizer.
        OptionError: the optimiser holds no weight, or `share` is not in (0, 1].

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import watch
        >>> model = nn.Linear(3, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> def loss(model, batch):
        ...     return (model(batch[0]) - batch[1]).square().mean()
        >>> with watch(model, optimizer) as watched:
        ...     for _ in range(3):  # optimizer.zero_grad() is forgotten
        ...         watched.step(loss, (torch.randn(8, 3), torch.randn(8, 1))).backward()
        ...         optimizer.step()
        >>> watched.findings.names
        ['gradients-not-zeroed']
    """
    return Watch(
        model, optimizer, held_out=held_out, scaler=scaler, blank=blank, steps=steps, share=share, on_finding=on_finding
    )
