"""Lengths of a floating type: what they seem to be, and how they become integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import errors


def refuse_float_lengths(name: str, lengths: Any, axis: str, size: int | None = None) -> None:
    """Raise `DTypeError` for an array of floats that says how to make integers of them.

    Args:
        name: of the argument.
        lengths: an array; anything but an array of floats is left to `check_forms`.
        axis: the axis that they count, in words.
        size: of this axis; None if unknown.
    """
    if not isinstance(lengths, np.ndarray) or lengths.dtype.kind != "f":
        return
    refuse_fractions(name, lengths, axis, size)
    maybe = bool(((lengths >= 0) & (lengths <= 1)).all())
    raise errors.float_lengths(name, lengths.dtype, axis, size, maybe_fractions=maybe)


def refuse_fractions(name: str, lengths: np.ndarray, axis: str, size: int | None = None) -> None:
    """Raise `DTypeError` for the first length that is not a whole number; if all are from 0 to 1, it is a fraction.

    Args: as `refuse_float_lengths`.
    """
    flat = np.asarray(lengths, np.float64).reshape(-1)
    wrong = np.flatnonzero(flat != np.round(flat))
    if not wrong.size:
        return
    row = int(wrong[0])
    if ((flat >= 0) & (flat <= 1)).all():
        raise errors.fractional_lengths(name, row, float(flat[row]), axis, size)
    raise errors.no_whole_length(name, row, float(flat[row]))
