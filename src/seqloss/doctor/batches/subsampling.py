"""Parts of a batch with fewer steps than its inputs: labels of every second frame, say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from seqloss.doctor.batches.mask_lengths import is_constant_past

MOST = 8
"""Steps of the inputs for one of the part."""


@dataclass(frozen=True)
class Subsampling:
    """Attributes:
    lengths: of the rows of the longer axis, shape (batch,).
    factor: steps of the longer axis for one of this.
    rounds_up: whether the last step may have fewer.
    """

    lengths: Tensor
    factor: int
    rounds_up: bool

    def steps(self, length: int) -> int:
        """How many steps a length gives."""
        return (length + (self.factor - 1 if self.rounds_up else 0)) // self.factor

    def row_lengths(self) -> Tensor:
        """The lengths of the rows, subsampled; shape (batch,)."""
        return (self.lengths + (self.factor - 1 if self.rounds_up else 0)) // self.factor


def find_subsampling(part: Tensor, axis: int, lengths: Iterable[Tensor]) -> Subsampling | None:
    """The lengths of which an axis has a fraction; None if there are none, or rows are not padded past them.

    Args:
        part: rows first.
        axis: of its steps.
        lengths: of longer axes.
    """
    size = part.shape[axis]
    for longer in lengths:
        for factor in range(2, MOST + 1):
            for rounds_up in (True, False):
                found = Subsampling(longer, factor, rounds_up)
                own = found.row_lengths()
                fits = found.steps(int(longer.max())) == size > 1 and int(own.min()) < size
                if fits and is_constant_past(part.movedim(axis, 1), own):
                    return found
    return None
