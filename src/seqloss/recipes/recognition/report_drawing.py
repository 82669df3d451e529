"""A diagram of one item: its input above the probabilities of its classes, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from seqloss.recipes.recognition.report_items import ShownItem
from seqloss.report.drawing import GREEN, RED, draw_svg

HEAT = LinearSegmentedColormap.from_list("heat", [(0.23, 0.55, 0.82, 0.0), (0.23, 0.55, 0.82, 1.0)])
"""From transparent to blue, so that it suits a light and a dark page."""

CLASSES = 14
"""Rows of a heat map at most."""


def width_in_pixels(shown: ShownItem) -> int:
    """Width of an item's diagram."""
    return max(640, 9 * len(shown.best_path) // 2)


def draw_item(shown: ShownItem, symbols: Sequence[str], number: int) -> str:
    """The input above the probabilities of its classes, with the best path of the target."""
    rows = choose_classes(shown)
    place = {k: row for row, k in enumerate(rows)}
    frames = len(shown.best_path)
    label = f"probabilities of the classes for {shown.target}"
    with draw_svg(f"item{number}", label, width_in_pixels(shown) / 100, 1.15 + 0.19 * len(rows)) as (figure, drawn):
        above, below = figure.subplots(2, 1, height_ratios=[1.0, max(1.2, 0.26 * len(rows))], sharex=True)
        above.imshow(shown.input, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(0, frames, 0, 1))
        above.axis("off")
        heat = shown.probabilities[:, rows].T
        below.imshow(
            heat, cmap=HEAT, vmin=0, vmax=1, aspect="auto", extent=(0, frames, len(rows), 0), interpolation="none"
        )
        below.grid(False)
        middle = np.arange(frames) + 0.5
        if len(shown.target_path):
            below.plot(middle, [place[k] + 0.5 for k in shown.target_path], color=GREEN, lw=1.2)
        if shown.text != shown.target:
            below.plot(middle, [place[k] + 0.5 for k in shown.best_path], ".", color=RED, ms=3)
        below.set_yticks(np.arange(len(rows)) + 0.5, [_visible(symbols[k]) for k in rows], fontsize=8)
        below.set_xlabel("frame")
        below.tick_params(length=0)
        below.spines[:].set_visible(False)
    return drawn[0]


def choose_classes(shown: ShownItem) -> list[int]:
    """The target's classes in order, then the predicted ones, then other probable ones, then the blank."""
    target_classes = [k for k in dict.fromkeys([*shown.target_path.tolist(), *shown.best_path.tolist()]) if k]
    most = shown.probabilities.max(axis=0, initial=0.0)
    others = [int(k) for k in np.argsort(-most) if k and k not in target_classes and most[k] > 0.05]
    return [*target_classes, *others[: max(0, CLASSES - len(target_classes))], 0]


def _visible(symbol: str) -> str:
    """A space as a visible sign."""
    return "␣" if symbol == " " else symbol
