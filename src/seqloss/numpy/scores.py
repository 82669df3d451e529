"""Scores with two kinds of entries: what the measures of pairs and of anomalies ask of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import contract
from seqloss.errors import LabelError, SeqLossError, ShapeError, wrong_dtype, wrong_rank


def read_scores(scores: Any, axes: str, hint: str = "") -> np.ndarray:
    """Numbers with one axis, in their own type.

    Raises:
        ShapeError: another rank.
        DTypeError: no numbers, or a masked array.
    """
    numbers = contract.as_array("scores", scores)
    if numbers.dtype.kind not in "fiu" and numbers.dtype.name != "bfloat16":
        raise wrong_dtype("scores", numbers.dtype, "numbers")
    if numbers.ndim != 1:
        raise wrong_rank("scores", numbers.shape, axes, hint)
    return numbers


def read_kinds(name: str, kinds: Any, scores: np.ndarray) -> np.ndarray:
    """Booleans or integers, one for each score; the values of integers are not checked.

    Raises:
        ShapeError: another shape than that of the scores.
        DTypeError: neither booleans nor integers, or a masked array.
    """
    found = contract.as_array(name, kinds)
    if found.shape != scores.shape:
        raise ShapeError(f"{name}: expected shape {scores.shape}, that of scores, found {found.shape}.")
    if found.size and found.dtype.kind not in "biu":  # an empty list has no type
        raise wrong_dtype(name, found.dtype, "booleans")
    return found


def check_finite(scores: np.ndarray, advice: str) -> None:
    """Raise `SeqLossError` for a score that is not finite."""
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise SeqLossError(f"scores[{wrong[0]}]: found {scores[wrong[0]]}, expected a finite number; {advice}.")


def as_booleans(name: str, kinds: np.ndarray, advice: str) -> np.ndarray:
    """Booleans of booleans, or of 0 and 1.

    Raises:
        LabelError: another number.
    """
    wrong = np.flatnonzero((kinds != 0) & (kinds != 1))
    if wrong.size:
        raise LabelError(f"{name}[{wrong[0]}]: found {kinds[wrong[0]]}, expected 0 or 1; {advice}.")
    return kinds.astype(bool)
