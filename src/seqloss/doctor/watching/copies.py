"""Copies of a batch: what a loss does to its batch, it does to the caller's only where the caller calls it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from seqloss.doctor.batches.parts import Path, map_batch
from seqloss.doctor.snapshot import RandomState
from seqloss.doctor.subject import Loss, NotChecked

RESTARTED: tuple[type, ...] = (type(iter([])), type(iter(())), type(iter(range(0))))
"""Iterators of which a copy goes on from the same place."""


def copy_batch(batch: Any) -> Any:
    """The same batch, in memory of its own.

    Raises:
        NotChecked: it cannot be read twice.
    """
    return map_batch(batch, _copy)


def on_copies(loss: Loss) -> Loss:
    """The same loss, each call with a copy of its own."""
    return lambda model, batch: loss(model, copy_batch(batch))


def steadily(loss: Loss) -> Loss:
    """The same with the same random numbers in each call, so that calls can be compared."""
    state, copied = RandomState(), on_copies(loss)

    def call(model: nn.Module, batch: Any) -> Any:
        state.restore()
        return copied(model, batch)

    return call


def _copy(path: Path, part: Any) -> Any:
    if isinstance(part, Tensor):
        return part if part.grad_fn is not None else part.detach().clone().requires_grad_(part.requires_grad)
    if isinstance(part, nn.Module) or callable(part):
        return part
    if isinstance(part, Iterator):
        if isinstance(part, RESTARTED):
            return copy.copy(part)
        raise NotChecked(f"the batch has an iterator ({type(part).__name__}), which can be read only once")
    return copy.deepcopy(part)
