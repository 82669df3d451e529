"""Two arrays at one place, and what counts as equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from seqloss.doctor.comparison.arrays import Array

RTOL = {"float64": 2.0**-46, "float32": 2.0**-17, "float16": 2.0**-8, "bfloat16": 2.0**-5}

MASK = 1e4


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays at one place, and what is known around them.

    Attributes:
        first, second: the arrays.
        names: of the two sides.
        rtol, atol: as in `compare`.
        beside: the largest entry of all gradients if this is one, else 0.
        batch: what both sides were called with.
    """

    first: Array
    second: Array
    names: tuple[str, str]
    rtol: float | None
    atol: float
    beside: float
    batch: tuple[Any, ...]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.first.values, self.second.values

    @property
    def alike(self) -> bool:
        """Whether the shapes are equal."""
        return self.first.values.shape == self.second.values.shape

    @property
    def type_rtol(self) -> float:
        """What the coarser type allows, relatively."""
        return max(RTOL.get(array.dtype, 0.0) for array in (self.first, self.second))

    @cached_property
    def largest(self) -> float:
        return _largest(*self.arrays)

    @property
    def allowed(self) -> float:
        return self.atol + (self.type_rtol if self.rtol is None else self.rtol) * self.largest

    @cached_property
    def difference(self) -> np.ndarray:
        return _difference(*self.arrays)

    @property
    def off(self) -> float:
        """The worst difference."""
        return float(self.difference.max(initial=0.0))

    @property
    def parting(self) -> np.ndarray:
        """The entries that are off by more than is allowed, bool in the arrays' shape."""
        return self.difference > self.allowed

    def close(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether a cause makes two arrays equal, as far as their types can tell."""
        if a.shape != b.shape:
            return False
        rtol = max(self.rtol or 0.0, self.type_rtol)
        return bool((_difference(a, b) <= self.atol + rtol * _largest(a, b)).all())

    def ways(self) -> Iterator[tuple[np.ndarray, str, np.ndarray, str]]:
        """An array and its side's name, the other and its side's; both ways round."""
        (a, b), (first, second) = self.arrays, self.names
        yield a, first, b, second
        yield b, second, a, first

    def lengths(self) -> Iterator[tuple[int, np.ndarray]]:
        """What may be lengths in the batch: each vector of integers, by its number."""
        for k, part in enumerate(self.batch):
            if isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "iu":
                yield k, part


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|: 0 where both are NaN or the same infinity, inf where only one is finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.where(np.isnan(off), np.inf, off)


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    """The size of the largest finite entry that is no mask."""
    sizes = np.abs(np.stack([a, b]))
    return float(sizes[np.isfinite(sizes) & ~((a == b) & (sizes >= MASK))].max(initial=0.0))
