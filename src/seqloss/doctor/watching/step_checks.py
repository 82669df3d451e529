"""All checks of one step of the optimiser: its gradient, the batches that it is of, how far it moves the weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.watching import accumulation, gradients
from seqloss.doctor.watching.apart import world
from seqloss.doctor.watching.found import Found
from seqloss.doctor.watching.lost import Lost
from seqloss.doctor.watching.ranks import Ranks
from seqloss.doctor.watching.stepping import Stepping
from seqloss.doctor.watching.updates import Updates
from seqloss.doctor.watching.window import MOST, Window

FIRST_STEPS = 3
"""Steps whose gradients are kept: that of the second is computed again, with several batches those of all three."""

LOOKS = 4
"""After them, the gradient is computed again at each fourth look."""


class StepChecks:
    """Checks the steps that are looked at.

    Args:
        optimizer: that takes them.
        scaler: of the loss in mixed precision.
        found: where findings go.

    Attributes:
        adds_losses: whether the losses of several batches add up to that of one big batch.
        stepping: counts gradients without a step.
        ranks: compares the processes of a training.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: Any, found: Found) -> None:
        self.optimizer, self.scaler, self.found, self.adds_losses = optimizer, scaler, found, False
        self.stepping, self.updates = Stepping(scaler is not None), Updates(optimizer)
        self.ranks, self.lost = Ranks(), Lost()
        self.previous: list[Tensor | None] | None = None

    def before(self, window: Window, names: Sequence[str], weights: Sequence[Tensor], looks: int) -> None:
        """The gradients are complete.

        Args:
            window: the batches of the step.
            names: of the weights.
            weights: that the optimiser holds.
            looks: number of this look.
        """
        handed = [None if weight.grad is None else self._unscaled(weight.grad) for weight in weights]
        scale = float(self.scaler.get_scale()) if self.scaler is not None else 1.0
        self.lost.batches = 0 if self.stepping.has_scaler else self.stepping.discarded
        step = gradients.Step(
            window, names, weights, handed, self.previous, scale, self.adds_losses, self.ranks, self.lost
        )
        if self._is_computed_again(window, looks) and not self.found.by_name.keys() & gradients.NAMES:
            self.found.check("gradients", partial(gradients.check, step))
            if 1 < len(window.parts) <= MOST and window.is_even and not self.adds_losses:
                self.found.check("accumulation", partial(accumulation.check, window))
        elif window.number == 1 and world() > 1:
            self.found.check("gradients", partial(self.ranks.keep, handed))
        self.found.add(self.lost.look(window.number))
        self.found.add(self.updates.begin(step))
        self.previous = handed if window.number < FIRST_STEPS else None
        window.forget()

    def after(self, step: int) -> None:
        """The step is taken."""
        self.found.add(self.updates.end(step))

    def end(self, step: int) -> None:
        """The training is over."""
        self.found.add(self.stepping.at_end(step))
        self.found.check("gradients", partial(self.ranks.compare, is_end=True))

    def _is_computed_again(self, window: Window, looks: int) -> bool:
        if window.number <= FIRST_STEPS:
            return window.number == 2 or len(window.parts) > 1
        return looks % LOOKS == 0 and world() == 1

    def _unscaled(self, gradient: Tensor) -> Tensor:
        """A copy; fused optimisers divide by the scale themselves."""
        scale = getattr(self.optimizer, "grad_scale", None)
        return gradient.detach().clone() if scale is None else gradient.detach() / scale
