"""Which steps of a padded batch are read, as far as the host knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloss.errors import wrong_length
from seqloss.torch._compat import transforms_are_active
from seqloss.torch.nn.padding import as_lengths, reverse_within_lengths, within_lengths
from seqloss.torch.tracing import has_no_values


@dataclass(frozen=True)
class UnevenRows:
    """The rows of a batch (batch, time, ...), with what is done with their padding.

    Attributes:
        steps: how many of the batch are read: up to the longest row, or all where the lengths are not known.
        lengths: (batch,), from 0 to steps; None if no row has padding.
        real: (batch, steps), False in the padding; None if no row has any.
        bad: (batch,), True for a length outside of the time axis; None if they were checked.
    """

    steps: int
    lengths: Tensor | None = None
    real: Tensor | None = None
    bad: Tensor | None = None

    def clear(self, x: Tensor) -> Tensor:
        """The steps that are read, 0 in the padding, and no gradient there."""
        x = x[:, : self.steps]
        return x if self.real is None else torch.where(self.real[:, :, None], x, 0)

    def reverse(self, x: Tensor) -> Tensor:
        """Each row from its last step to its first; the padding stays behind it."""
        return x.flip(1) if self.lengths is None else reverse_within_lengths(x, self.lengths)

    def last_of(self, x: Tensor, before: Tensor) -> Tensor:
        """Each row's last step of x (batch, steps, size): (batch, size); `before` for a row of length 0."""
        if self.lengths is None:
            return x[:, -1]
        last = (self.lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
        return torch.where((self.lengths > 0)[:, None], x.gather(1, last)[:, 0], before)

    def spoil(self, x: Tensor, axis: int) -> Tensor:
        """NaN in the rows, on this axis, whose length is not on the time axis."""
        if self.bad is None:
            return x
        return x.masked_fill(self.bad.view(-1, *[1] * (x.dim() - 1 - axis)), torch.nan)


def read_rows(padded: Tensor, lengths: Tensor | Sequence[int] | None) -> UnevenRows:
    """Look at the lengths of padded rows (batch, time, ...).

    Raises:
        ShapeError: not one length per row.
        DTypeError: lengths that are no integers.
        LengthError: a length outside of the time axis, on the host.
    """
    batch, time = padded.shape[:2]
    if lengths is None:
        return UnevenRows(time)
    lengths = as_lengths(lengths, batch, time, "time")
    if not host_knows(lengths):
        lengths = lengths.to(padded.device)
        used = lengths.clamp(0, time)
        return UnevenRows(time, used, within_lengths(padded, used), lengths != used)
    values = lengths.tolist()
    for row, length in enumerate(values):
        if not 0 <= length <= time:
            raise wrong_length("lengths", row, length, time, "time")
    steps = max(values, default=0)
    if all(length == steps for length in values):
        return UnevenRows(steps)
    lengths = lengths.to(padded.device)
    return UnevenRows(steps, lengths, within_lengths(padded[:, :steps], lengths))


def host_knows(lengths: Tensor) -> bool:
    """Whether the values can be looked at without waiting for an accelerator, and no tracer records them."""
    if torch.compiler.is_compiling() or lengths.device.type != "cpu":
        return False
    return not (has_no_values(lengths) or transforms_are_active())
