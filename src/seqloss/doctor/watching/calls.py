"""One call of the loss in the training, and whether its gradient is taken."""

from __future__ import annotations

from torch import Tensor

from seqloss.doctor.watching.window import Part

SCALE = 128.0
"""Smallest factor of a loss that is taken for the scale of half precision; weights of losses are smaller."""


class Call:
    """Where backward() is followed: at looks, after calls without a step, and in evaluation mode.

    Attributes:
        seed: gradient of what is differentiated with respect to the loss; None before backward().
        part: what is kept to compute it again; None for nothing.
    """

    seed: Tensor | None = None
    part: Part | None = None

    def see(self, gradient: Tensor, calls: int) -> None:
        """backward() has come to the loss, after so many calls of it."""
        self.seed = gradient.detach()
        if self.part is not None:
            self.part.seed, self.part.backward = self.seed, calls

    @property
    def is_scaled(self) -> bool:
        return self.seed is not None and self.seed.device.type == "cpu" and float(self.seed) >= SCALE
