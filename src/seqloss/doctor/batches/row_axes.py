"""Which axis of a part of a batch holds the rows: the first one, the second one of time-first batches, or the last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqloss.doctor.batches.trailing_tokens import find_trailing


def count_rows(parts: Iterable[Any]) -> int:
    """The number of rows on which most parts agree.

    A part counts once for the size of its first axis, and half for that of another axis that can hold rows: time-first
    inputs and their lengths agree on the rows, not on the steps. Of two sizes on a par, more parts decide, then first
    axes, then the part that comes first; tokens whose columns end with padding are time-first.

    Raises:
        ValueError: no part has rows.
    """
    used = [part for part in parts if not _is_arange(part)]
    firsts = [size for part in used if (size := size_of(part)) is not None]
    if not firsts:
        raise ValueError("the batch has no tensor with rows")
    others = [size for part in used for size in _later_sizes(part)]
    turned = [size for part in used if (size := _turned_size(part)) is not None]

    def support(size: int) -> tuple[float, ...]:
        first, later = firsts.count(size), others.count(size)
        early = -firsts.index(size) if first else -len(firsts)
        return (first + 0.5 * later, first + later, turned.count(size), first, early)

    return max(dict.fromkeys(firsts + others), key=support)


def possible_axes(part: Any, count: int) -> tuple[int, ...]:
    """Axes of a tensor that can hold so many rows, the likeliest first; (0,) for a list with one entry for each."""
    if not isinstance(part, Tensor):
        return (0,) if size_of(part) == count else ()
    axes = range(min(1, part.dim())) if part.dim() < 2 else (0, 1, part.dim() - 1)
    return tuple(dict.fromkeys(axis for axis in axes if part.shape[axis] == count))


def size_of(part: Any) -> int | None:
    """Of the first axis; the number of rows if they are packed."""
    if isinstance(part, PackedSequence):
        return int(part.batch_sizes[0])
    if isinstance(part, Tensor):
        return part.shape[0] if part.dim() else None
    return len(part) if isinstance(part, list | tuple) else None


def _later_sizes(part: Any) -> Sequence[int]:
    """Of the second axis, if it can hold rows: of floats with a third axis, or of integers."""
    if not isinstance(part, Tensor) or part.dim() < 2 or (part.is_floating_point() and part.dim() < 3):
        return ()
    return () if part.shape[1] == part.shape[0] else (part.shape[1],)


def _turned_size(part: Any) -> int | None:
    """The number of columns of tokens that are padded at the end of columns, not of rows."""
    if not isinstance(part, Tensor) or part.dim() != 2 or part.is_floating_point() or part.dtype == torch.bool:
        return None
    return part.shape[1] if find_trailing(part.T) is not None and find_trailing(part) is None else None


def _is_arange(part: Any) -> bool:
    """Positions, which all rows share."""
    return (
        isinstance(part, Tensor) and part.dim() == 1 and len(part) > 1 and not part.is_floating_point()
        and part.dtype != torch.bool and bool((part == torch.arange(len(part), device=part.device)).all())
    )  # fmt: skip
