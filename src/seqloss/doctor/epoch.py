"""Batches from all over an epoch of a loader, in their order: its first ones may be all alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from seqloss.doctor.snapshot import random_states
from seqloss.doctor.training_data import draw, generators_of

SPREAD = 32
"""Batches of an epoch, as far from each other as they can be."""

LARGEST = 100_000
"""Batches of an epoch whose order is listed."""

SECONDS = 3.0


@dataclass(frozen=True)
class Epoch:
    """Attributes:
    batches: in their order.
    order: what the sampler says, so that two epochs can be compared; None if it is not known.
    is_whole: whether the batches are from its beginning to its end.
    """

    batches: Sequence[Any]
    order: Sequence[Any] | None = None
    is_whole: bool = False


def read_epoch(loader: Any, first: Sequence[Any], number: int) -> Epoch:
    """Some batches of an epoch. The loader's generators, and the epoch that its samplers were told, are as before.

    Args:
        loader: that can be read again.
        first: its first batches.
        number: of the epoch, 0 or 1; a training tells it to a sampler, and so does this.
    """
    with _told(loader, number), random_states(number or None), generators_of(loader, seed=number or None):
        order = _order(loader)
        if order:
            with suppress(Exception):  # data that only workers can read, for example
                return Epoch(_spread(loader, order), order, True)
        batches = first if number == 0 else draw(loader, len(first), seconds=SECONDS)
    return Epoch(batches, None, hasattr(loader, "__len__") and len(loader) <= len(first))


def _spread(loader: DataLoader[Any], order: Sequence[Any]) -> list[Any]:
    count = min(SPREAD, len(order))
    chosen = [order[place * (len(order) - 1) // max(1, count - 1)] for place in range(count)]
    reader = DataLoader(loader.dataset, batch_sampler=chosen, collate_fn=loader.collate_fn)
    return draw(reader, count, least=count // 4, seconds=SECONDS)


def _order(loader: Any) -> list[list[Any]] | None:
    """The rows of each batch, of a loader of torch whose data can be read in any order."""
    sampler = getattr(loader, "batch_sampler", None)
    if not isinstance(loader, DataLoader) or sampler is None or isinstance(loader.dataset, IterableDataset):
        return None
    try:
        return [list(batch) for batch in sampler] if len(sampler) <= LARGEST else None
    except TypeError:  # a sampler without a size may have no end
        return None


@contextmanager
def _told(loader: Any, number: int) -> Iterator[None]:
    """Tell samplers the number of the epoch, and the first one again at the end."""
    samplers = [one for name in ("sampler", "batch_sampler") if (one := getattr(loader, name, None)) is not None]
    samplers += [inner for one in samplers if (inner := getattr(one, "sampler", None)) is not None]
    told = {id(one): (one, getattr(one, "epoch", 0)) for one in [loader, *samplers] if hasattr(one, "set_epoch")}
    try:
        for sampler, epoch in told.values() if number else ():
            sampler.set_epoch(epoch + number)
        yield
    finally:
        for sampler, epoch in told.values() if number else ():
            sampler.set_epoch(epoch)
