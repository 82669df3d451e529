"""What a side returns, as flat arrays in float64, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.errors import OptionError, ShapeError, wrong_dtype


@dataclass(frozen=True, eq=False)
class Array:
    """Any framework's array, in float64, and the type that it came in."""

    values: np.ndarray
    dtype: str

    @property
    def largest(self) -> float:
        """The size of the largest finite entry."""
        return float(np.abs(self.values[np.isfinite(self.values)]).max(initial=0.0))


def arrays_of(side: Callable[..., Any], name: str, batch: tuple[Any, ...]) -> dict[str, Array]:
    """What a side returns for its own copy of the batch, by dotted name."""
    returned = side(*(part.copy() if isinstance(part, np.ndarray) else part for part in batch))
    arrays: dict[str, Array] = {}
    for key, value in _flat(returned):
        if key in arrays:
            raise OptionError(f"{name} returns two places named {key!r}; give each a name of its own.")
        arrays[key] = _array(value, f"{name}'s {key}")
    return arrays


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every array of nested mappings and lists by its dotted name; a list of numbers that has a name is an array."""
    inner: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, tuple | list) and not (name and _only_numbers(value)):
        inner = enumerate(value)
    else:
        yield name or "output", value
        return
    for key, part in inner:
        yield from _flat(part, f"{name}.{key}" if name else str(key))


def _only_numbers(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_only_numbers, value))
    return isinstance(value, int | float | np.number)


def _array(value: Any, where: str) -> Array:
    """By what an array can do: torch's is known by `detach`, all others by the protocols of NumPy and DLPack."""
    bfloat16 = "bfloat16" in str(getattr(value, "dtype", ""))
    if hasattr(value, "detach"):
        value = value.detach().to_dense()
        value = (value.float() if bfloat16 else value).numpy(force=True)
    elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        value = np.from_dlpack(value)
    try:
        found = np.asarray(value)
    except ValueError:
        raise ShapeError(f"{where}: found rows of uneven length; pad them, or give each a name of its own.") from None
    if not bfloat16 and found.dtype.kind not in "biuf":
        kind = type(value).__name__ if found.dtype == object else found.dtype.name
        raise wrong_dtype(where, kind, "an array of real numbers")
    return Array(found.astype(np.float64), "bfloat16" if bfloat16 else found.dtype.name)
