"""Batches that hold several items of each of several labels, as losses of pairs and triplets need them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from seqloss.training.batches import Source, cut_into_batches


class LabelledSource(Source):
    """Items with a label each.

    Attributes:
        rows_per_label: items of one label that a batch holds together, at least, where a label has so many.
    """

    rows_per_label: ClassVar[int] = 4

    @abstractmethod
    def label(self, epoch: int, index: int) -> int:
        """The label of an item."""

    def batches(self, epoch: int, size: int, rng: np.random.Generator | None) -> list[list[int]]:
        """Parts of some items of one label, spread over the epoch; held-out items are in the same order each time."""
        labels = [self.label(epoch, index) for index in range(len(self))]
        rng = np.random.default_rng(0) if rng is None else rng
        return cut_into_batches(spread_labels(labels, self.rows_per_label, rng), size)


def spread_labels(labels: Sequence[int], rows: int, rng: np.random.Generator) -> list[int]:
    """An order of items in which those of a label stand together in parts, and the parts of a label far apart.

    The items of a label are shuffled and cut into parts of `rows` items or some more; the k-th of n parts gets a random
    place in the k-th n-th of the order. So each batch has about the same share of each frequent label.

    Args:
        labels: of the items.
        rows: items in a part; a label with fewer items is one part.
        rng: decides.

    Returns:
        the indices of all items.

    Example:
        >>> spread_labels([7, 7, 8, 8, 7, 7, 8, 8], 2, np.random.default_rng(0))
        [2, 3, 4, 5, 6, 7, 0, 1]
    """
    shuffled = rng.permutation(len(labels))
    found = np.asarray(labels, np.int64)[shuffled]
    by_label = np.argsort(found, kind="stable")
    borders = np.flatnonzero(np.diff(found[by_label])) + 1
    parts: list[np.ndarray] = []
    places: list[float] = []
    for members in np.split(shuffled[by_label], borders):
        own = np.array_split(members, max(1, len(members) // rows))
        parts += own
        places += ((np.arange(len(own)) + rng.random(len(own))) / len(own)).tolist()
    return [int(index) for part in np.argsort(places, kind="stable") for index in parts[part]]


def alternate_labels(labels: Sequence[int], rows: int = 2) -> list[int]:
    """An order of items in which each label comes in turn with some items, so that the first ones have several labels.

    Example:
        >>> alternate_labels([7, 7, 7, 8, 8, 8])
        [0, 1, 3, 4, 2, 5]
    """
    seen: dict[int, int] = {}
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen.get(label, 0) // rows, label, index))
        seen[label] = seen.get(label, 0) + 1
    return [index for _, _, index in sorted(turns)]
