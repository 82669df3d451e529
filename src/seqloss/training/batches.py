"""Sources of items, and the batches of an epoch.

Any item of any epoch follows from (seed, epoch, index) alone, and so does the order of the batches: a run that was
killed and resumed meets the same batches, and worker processes need no random state of their own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

Key = tuple[int, int]
"""(epoch, index) of an item."""


class Source(ABC):
    """The items of one split."""

    @abstractmethod
    def __len__(self) -> int:
        """Items per epoch."""

    @abstractmethod
    def item(self, epoch: int, index: int) -> Any:
        """One item, always the same; random augmentation is seeded with (seed, epoch, index).

        Held-out items are the same in every epoch.
        """

    sorted_together: ClassVar[int] = 16
    """Batches that are sorted by length together: with more of them less is padded, and batches vary less."""

    def length(self, epoch: int, index: int) -> int:
        """Items of similar length share a batch, so that little is padded. Default: all are alike."""
        return 0

    def without_augmentation(self) -> Source:
        """The same items as they are stored. Default: this source, which augments nothing."""
        return self

    def batches(self, epoch: int, size: int, rng: np.random.Generator | None) -> list[list[int]]:
        """The indices of each batch of an epoch, from the arguments alone: each item once, ceil(items / size) batches.

        Default: items are shuffled, sorted by length within pools of some batches, cut into batches, and the batches
        are shuffled.

        Args:
            epoch: its number.
            size: items in a batch.
            rng: of the epoch; None sorts the whole split by length and shuffles nothing, for held-out items.
        """
        order, pool = list(range(len(self))), len(self) or 1
        if rng is not None:
            order, pool = rng.permutation(len(self)).tolist(), self.sorted_together * size
        batches = []
        for start in range(0, len(order), pool):
            part = sorted(order[start : start + pool], key=lambda index: self.length(epoch, index))
            batches += cut_into_batches(part, size)
        return batches if rng is None else [batches[index] for index in rng.permutation(len(batches))]


def cut_into_batches(order: Sequence[int], size: int) -> list[list[int]]:
    """The indices in batches of a size; the last one may be smaller."""
    return [list(order[first : first + size]) for first in range(0, len(order), size)]


class BatchDataset(torch.utils.data.Dataset):
    """Whole batches, made in the loader's worker processes.

    Args:
        source: the items.
        collate: makes a batch of a list of items.
    """

    def __init__(self, source: Source, collate: Callable[[Sequence[Any]], Any]) -> None:
        self.source, self.collate = source, collate

    def __getitem__(self, keys: Sequence[Key]) -> Any:
        return self.collate([self.source.item(epoch, index) for epoch, index in keys])

    def first_items(self, start: int, stop: int) -> Any:
        """The batch of items start to stop - 1 of epoch 0."""
        return self[[(0, index) for index in range(start, stop)]]


class BatchSampler(torch.utils.data.Sampler):
    """The batches of an epoch as lists of keys, from (seed, epoch) alone.

    The source decides which items share a batch. With several processes, each takes every n-th batch; where
    these do not divide evenly, the first ones are used twice.

    Args:
        source: the items.
        batch: items in a batch.
        seed: of the order; None for held-out items, which are not shuffled.
        rank: of this process.
        world: number of processes.
    """

    def __init__(self, source: Source, batch: int, seed: int | None, rank: int = 0, world: int = 1) -> None:
        self.source, self.batch, self.seed, self.rank, self.world = source, batch, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.source) / self.batch) / self.world)

    def __iter__(self) -> Iterator[list[Key]]:
        batches = self._make_batches()
        batches += batches[: len(self) * self.world - len(batches)]
        yield from batches[self.rank :: self.world]

    def _make_batches(self) -> list[list[Key]]:
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        return [[(self.epoch, index) for index in batch] for batch in self.source.batches(self.epoch, self.batch, rng)]


def make_loader(dataset: BatchDataset, sampler: BatchSampler, workers: int) -> torch.utils.data.DataLoader:
    """Batches in the sampler's order, made in worker processes if there are any."""
    return torch.utils.data.DataLoader(
        dataset,
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
    )
