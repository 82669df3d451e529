"""Labels as integers, whatever type Keras or a data pipeline left them in."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss.errors import wrong_dtype
from seqloss.keras.ctc.host import to_numpy

NO_INTEGER = -(2**31)
"""What a number that is none becomes: no class, and no length."""

LARGEST = 2.0**31
EXACT = ("float32", "float64")


def as_integers(name: str, values: Any) -> Any:
    """Whole numbers of any type as int32 or int64; an array stays one, so that nothing is narrowed unseen.

    Entries that are no whole number become `NO_INTEGER`: past a row's length they are never read, inside it they are
    refused.

    Raises:
        DTypeError: bool, or a half type, which does not hold every class number.
    """
    if not ops.is_tensor(values):
        values = np.asarray(values) if isinstance(values, (list, tuple, np.ndarray)) else ops.convert_to_tensor(values)
    kind = keras.backend.standardize_dtype(values.dtype)
    if kind in ("int32", "int64"):
        return values
    if kind.startswith(("int", "uint")):
        return ops.cast(values, "int64" if kind in ("uint32", "uint64") else "int32")
    if kind not in EXACT:
        raise wrong_dtype(name, kind, "integers, or whole numbers as float32 or float64")
    values = ops.convert_to_tensor(values)
    whole = ops.logical_and(ops.equal(values, ops.round(values)), ops.less(ops.abs(values), LARGEST))
    return ops.cast(ops.where(whole, values, float(NO_INTEGER)), "int32")


def is_floating(values: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(values.dtype)


def refuse_fractions(name: str, values: Any, target_lengths: Any) -> None:
    """Say where a number in use is no integer, if there are values to look at.

    Args:
        values: labels as they came, (batch, labels).
        target_lengths: (batch,).

    Raises:
        DTypeError: with the place and the number.
    """
    if not is_floating(values):
        return
    found, counts = host_values(values), host_values(target_lengths)
    if found is None or counts is None or counts.shape != found.shape[:1]:
        return
    rows, places = np.nonzero((found != np.round(found)) & (np.arange(found.shape[1]) < counts[:, None]))
    if rows.size:
        row, place = int(rows[0]), int(places[0])
        raise wrong_dtype(f"{name}[{row}, {place}]", found[row, place], "an integer")


def host_values(values: Any) -> np.ndarray | None:
    """The values of a tensor on the host; None if they are traced."""
    try:
        return np.asarray(to_numpy(values))
    except ValueError:
        return None
