"""Two arrays to compare, and their tolerance."""

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
    """Two arrays to compare.

    Attributes:
        first: array of the first implementation.
        second: array of the second implementation.
        names: of the implementations.
        rtol: as in `compare`.
        atol: as in `compare`.
        largest_gradient: the largest entry of all gradients, if this is a gradient; else 0.
        batch: the arguments of both implementations.
    """

    first: Array
    second: Array
    names: tuple[str, str]
    rtol: float | None
    atol: float
    largest_gradient: float
    batch: tuple[Any, ...]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The values of both."""
        return self.first.values, self.second.values

    @property
    def same_shape(self) -> bool:
        """Whether the shapes are equal."""
        return self.first.values.shape == self.second.values.shape

    @property
    def type_rtol(self) -> float:
        """The relative tolerance of the less precise type."""
        return max(RTOL.get(array.dtype, 0.0) for array in (self.first, self.second))

    @cached_property
    def largest(self) -> float:
        """The largest absolute value, without masks."""
        return _largest(*self.arrays)

    @property
    def tolerance(self) -> float:
        """The largest difference that is accepted."""
        return self.atol + (self.type_rtol if self.rtol is None else self.rtol) * self.largest

    @cached_property
    def difference(self) -> np.ndarray:
        """The absolute difference of each entry."""
        return _difference(*self.arrays)

    @property
    def max_difference(self) -> float:
        """The largest difference."""
        return float(self.difference.max(initial=0.0))

    @property
    def exceeding(self) -> np.ndarray:
        """Which entries differ by more than the tolerance."""
        return self.difference > self.tolerance

    def close(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether two arrays are equal within the tolerance; used to test a cause."""
        if a.shape != b.shape:
            return False
        rtol = max(self.rtol or 0.0, self.type_rtol)
        return bool((_difference(a, b) <= self.atol + rtol * _largest(a, b)).all())

    def both_orders(self) -> Iterator[tuple[np.ndarray, str, np.ndarray, str]]:
        """(array, name, other array, its name), in both orders."""
        (a, b), (first, second) = self.arrays, self.names
        yield a, first, b, second
        yield b, second, a, first

    def length_arguments(self) -> Iterator[tuple[int, np.ndarray]]:
        """Arguments of the batch that can be lengths: vectors of integers, with their index."""
        for k, value in enumerate(self.batch):
            if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu":
                yield k, value


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|: 0 where both are NaN or the same infinity, inf where only one is finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.where(np.isnan(off), np.inf, off)


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    """The largest absolute value of the finite entries that are not masks."""
    sizes = np.abs(np.stack([a, b]))
    return float(sizes[np.isfinite(sizes) & ~((a == b) & (sizes >= MASK))].max(initial=0.0))
