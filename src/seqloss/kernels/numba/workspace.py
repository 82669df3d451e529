"""Scratch arrays, one set per thread, kept between calls: page faults in new memory take as long as the sums.

A thread keeps at most `KEPT_BYTES`; the scratch of a larger call is released when the call ends.
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
"""Bytes of a cache line; a vector that crosses two lines takes two reads."""


def allocate(size: int, dtype: np.dtype) -> np.ndarray:
    """New memory, not initialised."""
    return np.empty(size, dtype)


def _allocate_aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """New memory, aligned to a cache line."""
    found = allocate(size + CACHE_LINE // dtype.itemsize, dtype)
    skip = -found.ctypes.data % CACHE_LINE // dtype.itemsize
    return found[skip : skip + size]


class Workspace:
    """This thread's scratch: `take` returns the array of a name, at least as long as asked. Use as context manager."""

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
        """The arrays that the function `take` takes; those of the last call, if it had no smaller size."""
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
    """Release this thread's scratch."""
    _kept.arrays, _kept.sets, _kept.bytes = {}, {}, 0
