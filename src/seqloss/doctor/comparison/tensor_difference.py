"""The difference between two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqloss.doctor.comparison.pair import Pair


@dataclass(frozen=True)
class TensorDifference:
    """A tensor of both implementations, and how much it differs.

    Attributes:
        names: the name in each implementation.
        shapes: the shape in each implementation.
        dtypes: the type in each implementation.
        same: whether the shapes are equal and no entry differs by more than `tolerance`.
        absolute: the largest difference; inf if only one of two entries is finite; None if the shapes differ.
        relative: the largest difference, divided by the largest entry.
        tolerance: the largest difference that is accepted.
        index: of the entry that differs most; None if the shapes differ or there are no entries.
        values: that entry in each implementation.
        hint: the likely cause, for the first tensor that differs; "" if it is not recognised.
    """

    names: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    same: bool
    absolute: float | None = None
    relative: float | None = None
    tolerance: float | None = None
    index: tuple[int, ...] | None = None
    values: tuple[float, float] | None = None
    hint: str = ""

    @property
    def name(self) -> str:
        """The name; both names if they differ."""
        return _format_both(self.names)

    def format_line(self, width: int) -> str:
        """One line of text, with the name padded to a width."""
        size = "" if self.absolute is None else f"  max difference {self.absolute:.2g}, tolerance {self.tolerance:.2g}"
        status = "ok     " if self.same else "differs"
        return f"{status}  {self.name:{width}}  {_format_both(self.shapes)} {_format_both(self.dtypes)}{size}"


def measure_difference(pair: Pair, names: tuple[str, str]) -> TensorDifference:
    """The largest difference between two arrays, and where it is."""
    a, b = pair.arrays
    same = pair.same_shape and pair.max_difference <= pair.tolerance
    found = TensorDifference(names, (a.shape, b.shape), (pair.first.dtype, pair.second.dtype), same)
    if pair.same_shape:
        largest = pair.max_difference
        relative = largest / pair.largest if largest and pair.largest else largest
        found = replace(found, absolute=largest, relative=relative, tolerance=pair.tolerance)
    if pair.same_shape and a.size:
        index = tuple(int(k) for k in np.unravel_index(pair.difference.argmax(), a.shape))
        found = replace(found, index=index, values=(float(a[index]), float(b[index])))
    return found


def _format_both(both: Sequence[Any]) -> str:
    """Two values, or one if they are equal."""
    return f"{both[0]}" if both[0] == both[1] else f"{both[0]} | {both[1]}"
