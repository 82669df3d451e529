"""A few numbers as a line of bars, for figures in text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
POINTS = 100
"""Numbers of a curve that are kept."""


def thin(values: Sequence[float], points: int = POINTS) -> list[float]:
    """At most so many numbers, each the mean of its neighbours.

    Example:
        >>> thin([1.0, 3.0, 5.0, 7.0], points=2)
        [2.0, 6.0]
    """
    if len(values) <= points:
        return [float(one) for one in values]
    edges = [round(place * len(values) / points) for place in range(points + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]


def draw_bars(values: Sequence[float], width: int = 24) -> str:
    """Numbers in their order, from the least to the largest; a space for what is not finite.

    Example:
        >>> draw_bars([0, 1, 2, 3, 3, 0])
        '▁▃▆██▁'
    """
    shown = thin(values, width)
    finite = [one for one in shown if math.isfinite(one)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((one - low) * scale)] if math.isfinite(one) else " " for one in shown)
