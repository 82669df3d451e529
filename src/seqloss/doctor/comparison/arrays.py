"""The tensors that an implementation returns, as float64 arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.errors import OptionError, ShapeError, wrong_dtype


@dataclass(frozen=True, eq=False)
class Array:
    """An array of any framework in float64, and its original type."""

    values: np.ndarray
    dtype: str

    @property
    def largest(self) -> float:
        """The largest absolute value of the finite entries."""
        return float(np.abs(self.values[np.isfinite(self.values)]).max(initial=0.0))


def collect_arrays(side: Callable[..., Any], name: str, batch: tuple[Any, ...]) -> dict[str, Array]:
    """Call an implementation with a copy of the batch; the tensors that it returns, by dotted name."""
    returned = side(*(value.copy() if isinstance(value, np.ndarray) else value for value in batch))
    arrays: dict[str, Array] = {}
    for key, value in _flatten(returned):
        if key in arrays:
            raise OptionError(f"{name} returns two tensors named {key!r}; use unique names.")
        arrays[key] = _to_array(value, f"{name}'s {key}")
    return arrays


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested mappings and lists. A named list of numbers is one value."""
    inner: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, tuple | list) and not (name and _only_numbers(value)):
        inner = enumerate(value)
    else:
        yield name or "output", value
        return
    for key, item in inner:
        yield from _flatten(item, f"{name}.{key}" if name else str(key))


def _only_numbers(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_only_numbers, value))
    return isinstance(value, int | float | np.number)


def _to_array(value: Any, where: str) -> Array:
    """Convert a value. torch tensors have `detach`; others support the protocols of NumPy or DLPack."""
    bfloat16 = "bfloat16" in str(getattr(value, "dtype", ""))
    if hasattr(value, "detach"):
        value = value.detach().to_dense()
        value = (value.float() if bfloat16 else value).numpy(force=True)
    elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        value = np.from_dlpack(value)
    try:
        found = np.asarray(value)
    except ValueError:
        raise ShapeError(
            f"{where}: found rows of different lengths; pad them, or return them under different names."
        ) from None
    if not bfloat16 and found.dtype.kind not in "biuf":
        kind = type(value).__name__ if found.dtype == object else found.dtype.name
        if value is None:
            raise wrong_dtype(where, kind, "an array of real numbers", "return the arrays, and leave out what is None")
        raise wrong_dtype(where, kind, "an array of real numbers")
    return Array(found.astype(np.float64), "bfloat16" if bfloat16 else found.dtype.name)
