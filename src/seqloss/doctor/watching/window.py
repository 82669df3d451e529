"""The batches between two steps of an optimiser, and the gradient of their losses computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seqloss.doctor.snapshot import ModuleState, RandomState, unchanged_by_calls
from seqloss.doctor.subject import Loss, first_tensor

MOST = 16
"""Batches of a window whose gradient is computed again."""


@dataclass(frozen=True)
class Part:
    """One call of the loss: the batch, and what the call depends on beside it.

    Attributes:
        loss: as given by the caller.
        batch: as given by the caller.
        random: states before the call.
        autocast: (device, type) of mixed precision in the call.
    """

    loss: Loss
    batch: Any
    random: RandomState
    autocast: tuple[tuple[str, torch.dtype], ...]


class Window:
    """One step of the optimiser.

    Args:
        number: of the step, from 1.
        model: that is trained.
        is_looked_at: whether batches are kept.
    """

    def __init__(self, number: int, model: nn.Module, is_looked_at: bool) -> None:
        self.number, self.model, self.is_looked_at = number, model, is_looked_at
        self.parts: list[Part] = []
        self.has_stepped = False
        self._state: ModuleState | None = None

    def add(self, loss: Loss, batch: Any) -> None:
        """Keep what a call of the loss, about to happen, depends on."""
        if not self.parts:
            self._state = ModuleState(self.model)
        if len(self.parts) <= MOST:
            self.parts.append(Part(loss, batch, RandomState(), _autocast()))

    def gradients_again(self, weights: Sequence[Tensor], parts: Sequence[Part] | None = None) -> list[Tensor | None]:
        """The sum of the gradients of the window's losses, or of some; the model and all states stay as they are."""
        sums: list[Tensor | None] = [None] * len(weights)
        assert self._state is not None
        with unchanged_by_calls(self.model), torch.enable_grad():
            self._state.restore()
            for part in parts or self.parts:
                part.random.restore()
                with _as_in(part, self.model):
                    loss = first_tensor(part.loss(self.model, part.batch))
                for place, gradient in enumerate(torch.autograd.grad(loss, weights, allow_unused=True)):
                    held = sums[place]
                    if gradient is not None:
                        dense = gradient.to_dense() if gradient.is_sparse else gradient
                        sums[place] = dense if held is None else held + dense
        return sums

    @property
    def is_half(self) -> bool:
        """Whether a loss is computed in float16, which needs a scaler that skips steps."""
        return any(dtype == torch.float16 for part in self.parts for _, dtype in part.autocast)

    def forget(self) -> None:
        """Let go of the batches."""
        self.parts, self._state = [], None


def _autocast() -> tuple[tuple[str, torch.dtype], ...]:
    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return tuple((kind, torch.get_autocast_dtype(kind)) for kind in kinds if torch.is_autocast_enabled(kind))


@contextmanager
def _as_in(part: Part, model: nn.Module) -> Iterator[None]:
    """The precision of a call; ranks do not talk to each other."""
    with ExitStack() as stack:
        for kind, dtype in part.autocast:
            stack.enter_context(torch.autocast(kind, dtype))
        if isinstance(model, DistributedDataParallel):
            stack.enter_context(model.no_sync())
        yield
