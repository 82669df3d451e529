"""One call of the loss in the training, and whether its gradient is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from seqloss.doctor.subject import first_entry
from seqloss.doctor.watching.window import Part

SCALE = 128.0
"""Smallest factor of a loss that is taken for the scale of half precision; weights of losses are smaller."""


class Call:
    """Follows the loss that was returned.

    Attributes:
        seed: gradient of what is differentiated with respect to the loss; None before backward().
        part: what is kept to compute it again; None for nothing.
    """

    seed: Tensor | None = None
    part: Part | None = None

    def follow(self, found: Any, see: Callable[[], int]) -> Tensor:
        """The scalar that was returned; `see` is called in backward(), and returns the number of the latest call.

        Raises:
            TypeError: nothing with one number was returned.
        """
        value = first_entry(found)
        if value.requires_grad:
            value.register_hook(lambda gradient: self._see(gradient, see()))
        return value

    def _see(self, gradient: Tensor, calls: int) -> None:
        self.seed = gradient.detach()
        if self.part is not None:
            self.part.seed, self.part.backward = self.seed, calls

    @property
    def is_scaled(self) -> bool:
        return self.seed is not None and self.seed.device.type == "cpu" and float(self.seed) >= SCALE
