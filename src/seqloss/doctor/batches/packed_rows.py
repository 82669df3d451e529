"""Rows of a `torch.nn.utils.rnn.PackedSequence`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence


def unpack_rows(packed: PackedSequence) -> list[Tensor]:
    """Each row, in the order of the batch before it was packed."""
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return [row[:length] for row, length in zip(padded, lengths.tolist(), strict=True)]


def pack_rows(rows: Sequence[Tensor]) -> PackedSequence:
    """The opposite, for rows in any order."""
    return pack_sequence(list(rows), enforce_sorted=False)
