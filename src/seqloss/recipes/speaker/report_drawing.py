"""Recordings as points of a plane, coloured by speaker."""

from __future__ import annotations

import numpy as np

from seqloss.report.drawing import BLUE, GREEN, GREY, INK, RED, draw_svg

COLORS = (BLUE, RED, GREEN, "#a9761b", "#9268c9", "#c2588f", "#218f9b", GREY)
"""Each has a contrast of at least 3 to the light and to the dark page."""

MARKERS = "os^D"
"""The next one after each round of the colours."""

SHOWN = len(COLORS) * len(MARKERS)
"""Speakers at most."""


def draw_speakers(points: np.ndarray, speakers: np.ndarray, shares: np.ndarray, left_out: str | None) -> str:
    """An SVG of points (n, 2), with a legend of the speakers.

    Args:
        points: of the recordings.
        speakers: their names (n,).
        shares: of the variance along the two axes (2,).
        left_out: a speaker that was not trained, drawn as crosses; None without one.
    """
    names = [name for name in sorted(set(speakers.tolist())) if name != left_out][:SHOWN]
    with draw_svg("embedding", "held-out recordings by speaker", 7.6, 4.6) as (figure, drawn):
        axes = figure.add_subplot()
        for number, name in enumerate(names):
            x, y = points[speakers == name].T
            color, marker = COLORS[number % len(COLORS)], MARKERS[number // len(COLORS)]
            axes.plot(x, y, marker, ms=4.5, mew=0, alpha=0.75, color=color, label=name)
        if left_out is not None and (speakers == left_out).any():
            x, y = points[speakers == left_out].T
            axes.plot(x, y, "x", ms=4.5, mew=1.1, color=INK, label=f"{left_out} (left out)")
        first, second = (f"{share:.0%} of the variance" for share in shares)
        axes.set_xlabel(f"first principal component, {first}")
        axes.set_ylabel(f"second principal component, {second}")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), labelcolor=INK, fontsize=9)
    return drawn[0]
