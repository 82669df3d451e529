"""Conversion of labels of any type to integers: Keras and data pipelines may have cast them to floats."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss import contract
from seqloss.errors import wrong_dtype
from seqloss.keras.ctc.host import to_numpy

NO_INTEGER = -(2**31)
"""Replaces a number that is not an integer: it is neither a class nor a length."""

LARGEST = 2.0**31
EXACT = ("float32", "float64")


def as_integers(name: str, values: Any) -> Any:
    """Convert whole numbers of any type to int32 or int64. An array stays an array, so that nothing is truncated.

    Entries that are not a whole number become `NO_INTEGER`. Past the length of a row they are not read; inside it they
    raise an error.

    Raises:
        DTypeError: the type is bool, or a half type, which cannot represent every class.
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
    """Raise an error for a label within its row's length that is no integer of 32 bits, if the values are known.

    Args:
        name: of the argument, for the message.
        values: labels of the original type, (batch, labels).
        target_lengths: (batch,).

    Raises:
        DTypeError: names the position and the number.
    """
    if not is_floating(values):
        return
    counts = copy_to_host(target_lengths)
    if counts is not None and counts.shape == tuple(values.shape)[:1]:
        refuse_used_fractions(name, values, np.arange(values.shape[1]) < counts[:, None])


def refuse_used_fractions(name: str, values: Any, used: Any = True) -> None:
    """Raise an error for a label in use that is no integer of 32 bits, if the values are known.

    Args:
        name: of the argument, for the message.
        values: labels of the original type, of any shape.
        used: which of them are in use, of the same shape; True for all.

    Raises:
        DTypeError: names the position and the number.
    """
    if not is_floating(values):
        return
    found, used = copy_to_host(values), copy_to_host(used)
    if found is None or used is None:
        return
    with np.errstate(invalid="ignore"):
        wrong = ~((found == np.round(found)) & (np.abs(found) < LARGEST)) & used
    if wrong.any():
        place = tuple(int(index[0]) for index in np.nonzero(wrong))
        number = found[place]
        expected = "an integer of 32 bits" if np.isfinite(number) and number == np.round(number) else "an integer"
        raise wrong_dtype(f"{name}[{', '.join(map(str, place))}]", number, expected)


def refuse_fractional_lengths(name: str, lengths: Any, axis: str, size: int | None) -> None:
    """Raise a `DTypeError` for a length that is not a whole number, if the values are known.

    Args: as `contract.refuse_fractions`.
    """
    if hasattr(lengths, "dtype") and not is_floating(lengths):
        return
    found = copy_to_host(lengths)
    if found is not None:
        contract.refuse_fractions(name, found, axis, size)


def copy_to_host(values: Any) -> np.ndarray | None:
    """A tensor's values, from its device too, which is waited for; None if it is traced."""
    try:
        return np.asarray(to_numpy(values))
    except ValueError:
        return None
