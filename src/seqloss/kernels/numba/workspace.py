"""Scratch arrays, one set per thread, kept between calls because fresh pages cost as much as the sums.

A thread keeps at most `KEPT_BYTES`; what a larger call needs is given back when the call ends.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import local
from typing import TypeVar

import numpy as np

T = TypeVar("T")
KEPT_BYTES = 64 * 2**20
_kept = local()

FLOAT, INTEGER = np.dtype(np.float64), np.dtype(np.int64)
CACHE_LINE = 64
"""Bytes that a processor reads at once; a vector that lies across two lines costs two reads."""


def allocate(size: int, dtype: np.dtype) -> np.ndarray:
    """Fresh memory, whatever it holds."""
    return np.empty(size, dtype)


def _allocate_aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Fresh memory that begins with a line."""
    found = allocate(size + CACHE_LINE // dtype.itemsize, dtype)
    skip = -found.ctypes.data % CACHE_LINE // dtype.itemsize
    return found[skip : skip + size]


class Workspace:
    """This thread's scratch: `take` gives an array by name, at least so long; use as a context manager."""

    def __enter__(self) -> Workspace:
        if not hasattr(_kept, "arrays"):
            release_workspace()
        self._arrays: dict[str, np.ndarray] = _kept.arrays
        self._sets: dict[Hashable, tuple[tuple[int, ...], object]] = _kept.sets
        return self

    def take(self, name: str, size: int, dtype: np.dtype) -> np.ndarray:
        found = self._arrays.get(name)
        if found is None or found.size < size or found.dtype != dtype:
            _kept.bytes -= found.nbytes if found is not None else 0
            found = self._arrays[name] = _allocate_aligned(size, np.dtype(dtype))
            _kept.bytes += found.nbytes
            self._sets.clear()
        return found

    def take_set(self, name: Hashable, sizes: tuple[int, ...], take: Callable[[], T]) -> T:
        """Arrays that `take` takes for sizes of the batch; those of the last time, if no size was smaller then."""
        found = self._sets.get(name)
        if found is None or any(new > old for new, old in zip(sizes, found[0], strict=True)):
            taken = take()
            self._sets[name] = sizes, taken
            return taken
        return found[1]  # type: ignore[return-value]

    def __exit__(self, *error: object) -> None:
        if _kept.bytes > KEPT_BYTES:
            release_workspace()


def release_workspace() -> None:
    """Give this thread's scratch back."""
    _kept.arrays, _kept.sets, _kept.bytes = {}, {}, 0
