"""How much of the best paths' recursion is stored, and where.

β of all frames would take 8 bytes per frame and state: 115 GB for an hour of speech with 40,000 characters. Instead, β
is stored for every K-th frame, the checkpoints. Then the path is followed from the first frame on, in segments of K
frames. A path moves by at most two states per frame, and the state in which it enters a segment is known. So a segment
is computed again from the checkpoint at its end, for at most 2 K states (its window), and only β of one window is
stored.

The checkpoints take frames / K * states * 8 bytes, a window 16 K² bytes. With K = (frames * states / 2)^(1/3) they are
of the same size, and together near 20 (frames * states)^(2/3) bytes: 120 MB for that hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.kernels.ctc.layout import LANES, chunk_count, pair_size, slots_size
from seqloss.kernels.ctc.maxima import CHUNK, SCRATCH
from seqloss.kernels.ctc.relative_scores import BLOCK_FRAMES
from seqloss.kernels.ctc.scratch import take_measuring_scratch
from seqloss.kernels.numba.workspace import FLOAT, INTEGER, Workspace

FRAMES_AT_LEAST = 64
"""Frames between checkpoints below which copying checkpoints takes longer than computing less again saves."""

KEPT_BYTES = 16 * 2**20
"""The most bytes for the relative scores of all frames of a row; beyond, they are computed again where needed."""


def choose_distance(frames: int, labels: int) -> int:
    """Frames between the checkpoints: a multiple of BLOCK_FRAMES."""
    distance = max(FRAMES_AT_LEAST, int((frames * (2 * labels + 1) / 2) ** (1 / 3)))
    return -(-distance // BLOCK_FRAMES) * BLOCK_FRAMES


@dataclass(frozen=True)
class Sizes:
    """The scratch that `align_rows` needs for rows of up to so many frames and labels.

    Attributes:
        frames, labels, classes: the most frames and labels of any row, and the classes.
        distance: frames between the checkpoints.
    """

    frames: int
    labels: int
    classes: int
    distance: int

    @property
    def kept(self) -> bool:
        """Whether the relative scores of all frames of a row are kept."""
        return 8 * self._blocks * self._block <= KEPT_BYTES

    @property
    def floats(self) -> int:
        """float64 numbers for what has a few per frame, label or class: see `align._lay_out_row`."""
        return SCRATCH + self._labels_and_slots + 2 * self.frames + LANES

    @property
    def integers(self) -> int:
        """int64 numbers for what has one per label or class: see `align._lay_out_row`."""
        return self._labels_and_slots + BLOCK_FRAMES + self.classes

    @property
    def table(self) -> int:
        """float64 numbers for relative scores."""
        return self._block * (self._blocks if self.kept else 1)

    @property
    def checkpoints(self) -> int:
        """float64 numbers for β at the end of each segment."""
        return (max(self.frames - 1, 0) // self.distance + 1) * pair_size(self.labels)

    @property
    def window(self) -> int:
        """float64 numbers for β of a segment's frames and of the one after them."""
        chunks = min(chunk_count(self.labels), self.distance // LANES + 2)
        return (min(self.frames, self.distance) + 1) * chunks * CHUNK

    @property
    def bytes(self) -> int:
        """What one thread needs, beside a few numbers per class."""
        return 8 * (self.floats + self.integers + self.table + self.checkpoints + self.window)

    @property
    def _labels_and_slots(self) -> int:
        """One number per label, and one per class that a row can use, in whole vectors each."""
        return chunk_count(self.labels) * LANES + slots_size(min(self.classes, self.labels + 1))

    @property
    def _blocks(self) -> int:
        return -(-self.frames // BLOCK_FRAMES)

    @property
    def _block(self) -> int:
        return BLOCK_FRAMES * (min(self.classes, self.labels + 1) + 1)


def take_scratch(space: Workspace, sizes: Sizes, kind: np.dtype) -> tuple[Any, ...]:
    """The arguments of `align_rows` from `counted` to `window`, for scores of a type.

    Raises:
        MemoryError: they cannot be allocated.
    """
    elements = sizes.floats, sizes.integers, sizes.table, sizes.checkpoints, sizes.window
    return space.take_set(
        ("align", kind.char),
        (sizes.labels, sizes.classes, *elements),
        lambda: (
            space.take(f"counted {kind.char}", sizes.classes, kind),
            take_measuring_scratch(space, kind, sizes.labels, sizes.classes),
            space.take("floats", sizes.floats, FLOAT),
            space.take("integers", sizes.integers, INTEGER),
            space.take("table", sizes.table, FLOAT),
            space.take("checkpoints", sizes.checkpoints, FLOAT),
            space.take("window", sizes.window, FLOAT),
        ),
    )
