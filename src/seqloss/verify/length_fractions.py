"""Lengths that are converted to fractions of their axis and back, as some toolkits pass them.

The product of fraction and axis is not always the length: in float32, 7 / 23 * 23 is 6.9999995. Truncated, it is one
too small; rounded up, another length is one too large. Which lengths of which axis are affected depends on the type,
so a single axis or length does not show this kind of mistake. In bfloat16 and float16, even rounding to the nearest
integer is wrong, on axes of 164 and 1,284 frames or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from seqloss.verify.runner import round_to_dtype

ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {"truncated": np.trunc, "rounded up": np.ceil, "": np.round}

AXES = (41, 83, 98)
"""Sizes of the axes that are tried: on the last, truncation and rounding up show in all types."""

LONG_AXES = {256: 300, 1024: 1300}
"""By the size that must be allowed: an axis on which rounding to the nearest shows in bfloat16, and in float16."""


@dataclass(frozen=True)
class Conversion:
    """A conversion of lengths to fractions and back.

    Attributes:
        rounding: a name of `ROUNDING`; "" for the nearest integer.
        dtype: of the fraction.
        wide: whether the fraction is multiplied by the axis in float64, not in its own type.
    """

    rounding: str
    dtype: str
    wide: bool = False

    def convert(self, lengths: np.ndarray, axis: int) -> np.ndarray:
        """The lengths after the conversion; not more than the axis, which a slice cannot exceed either."""
        fraction = round_to_dtype(np.asarray(lengths) / max(1, axis), self.dtype)
        product = fraction * round_to_dtype(np.array(float(axis)), self.dtype)
        product = product if self.wide else round_to_dtype(product, self.dtype)
        return np.minimum(ROUNDING[self.rounding](product).astype(np.int64), axis)

    def describe(self, what: str, axis: str) -> str:
        """What is wrong, and what to do, for these lengths and this axis."""
        found = f"{what} are computed from fractions of {axis} "
        if not self.rounding:
            return found + f"in {self.dtype}, which has too few digits: pass integers, or fractions in float32"
        size, length = next((n, k[0]) for n in range(2, 512) if len(k := affected_lengths(self, n)))
        changed = self.convert(np.array(length), size)
        return found + f"and {self.rounding}; round them (in {self.dtype}, {length} of {size} becomes {changed})"


CONVERSIONS = tuple(
    Conversion(rounding, dtype, wide)
    for rounding in ("truncated", "rounded up", "")
    for dtype in ("float32", "float64", "float16", "bfloat16")
    for wide in (False, True)
    if (not wide or dtype != "float64") and (rounding or dtype in ("float16", "bfloat16"))
)
"""The usual type first."""


@cache
def affected_lengths(conversion: Conversion, axis: int) -> tuple[int, ...]:
    """The lengths of an axis that a conversion changes."""
    lengths = np.arange(1, axis + 1)
    return tuple(lengths[conversion.convert(lengths, axis) != lengths].tolist())


@cache
def telling_lengths(axis: int) -> tuple[int, ...]:
    """Few lengths, among which each conversion that changes a length of this axis changes one; and the axis itself."""
    left = [set(changed) for conversion in CONVERSIONS if (changed := affected_lengths(conversion, axis))]
    chosen = {axis}
    while left := [changed for changed in left if not changed & chosen]:
        chosen.add(max(range(1, axis + 1), key=lambda length: sum(length in changed for changed in left)))
    return tuple(sorted(chosen))
