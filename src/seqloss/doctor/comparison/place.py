"""A place as it is told: what is called how, and how far it is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqloss.doctor.comparison.pair import Pair


@dataclass(frozen=True)
class Place:
    """One pair of arrays, and how far they are from each other.

    Attributes:
        names: what it is called on either side.
        shapes, dtypes: on either side.
        same: whether the shapes are equal and no entry is off by more than `allowed`.
        absolute: the worst difference; inf where only one entry is finite; None where the shapes differ.
        relative: the same over the largest entry.
        allowed: the difference that is still the same.
        index: of the worst entry; None where the shapes differ or there are no entries.
        values: the worst entry on either side.
        hint: of the first place that parts, the likely cause; empty if none fits.
    """

    names: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    same: bool
    absolute: float | None = None
    relative: float | None = None
    allowed: float | None = None
    index: tuple[int, ...] | None = None
    values: tuple[float, float] | None = None
    hint: str = ""

    @property
    def name(self) -> str:
        """Both sides' names, or the one that both have."""
        return _once(self.names)

    def line(self, width: int) -> str:
        """The place in one line, its name filled up to a width."""
        figures = "" if self.absolute is None else f"  off by {self.absolute:.2g}, allowed {self.allowed:.2g}"
        word = "ok   " if self.same else "parts"
        return f"{word}  {self.name:{width}}  {_once(self.shapes)} {_once(self.dtypes)}{figures}"


def measured(pair: Pair, names: tuple[str, str]) -> Place:
    """How far a pair is off, and where most."""
    a, b = pair.arrays
    same = pair.alike and pair.off <= pair.allowed
    place = Place(names, (a.shape, b.shape), (pair.first.dtype, pair.second.dtype), same)
    if pair.alike:
        relative = pair.off / pair.largest if pair.off and pair.largest else pair.off
        place = replace(place, absolute=pair.off, relative=relative, allowed=pair.allowed)
    if pair.alike and a.size:
        index = tuple(int(k) for k in np.unravel_index(pair.difference.argmax(), a.shape))
        place = replace(place, index=index, values=(float(a[index]), float(b[index])))
    return place


def _once(both: Sequence[Any]) -> str:
    """What two sides have; once if it is the same."""
    return f"{both[0]}" if both[0] == both[1] else f"{both[0]} | {both[1]}"
