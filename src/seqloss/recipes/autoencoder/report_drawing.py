"""Input, reconstruction and score over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from seqloss.report.drawing import BLUE, GREY, INK, RED, draw_svg, set_log_axis

CHANNELS = 4
"""Diagrams of channels at most."""


@dataclass(frozen=True)
class Shown:
    """What is drawn, by step.

    Attributes:
        rows: numbers of the table's rows (steps,); a new window begins where they jump, or after `window` steps.
        inputs: (steps, channels), in the table's own units.
        outputs: their reconstruction.
        scores: (steps,); None without a detector.
        anomalous: (steps,), where an anomaly was planted.
        names: of the channels.
        threshold: of the scores.
        window: steps of a window.
    """

    rows: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    scores: np.ndarray | None
    anomalous: np.ndarray
    names: Sequence[str]
    threshold: float
    window: int


def draw_series(shown: Shown) -> str:
    """A diagram for each channel, and one of the scores below them; planted anomalies are shaded."""
    channels = min(CHANNELS, len(shown.names))
    count = channels + (shown.scores is not None)
    with draw_svg("series", "input, reconstruction and score over time", 9.6, 0.6 + 1.25 * count) as (figure, drawn):
        every = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        for channel, axes in enumerate(every[:channels]):
            axes.plot(shown.rows, shown.inputs[:, channel], color=BLUE, lw=1.0, label="input")
            axes.plot(shown.rows, shown.outputs[:, channel], color=RED, lw=1.0, label="reconstruction")
            axes.set_title(shown.names[channel], loc="left", fontsize=9, color=INK)
        if shown.scores is not None:
            _draw_scores(every[-1], shown)
        for axes in every:
            _mark_windows(axes, shown)
        every[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, labelcolor=INK, borderaxespad=0)
        every[-1].set_xlabel("row of the table")
    return drawn[0]


def _draw_scores(axes: Axes, shown: Shown) -> None:
    assert shown.scores is not None
    scores = np.maximum(shown.scores, 1e-3)
    axes.plot(shown.rows, scores, color=INK, lw=1.0)
    over = shown.scores > shown.threshold
    axes.plot(shown.rows[over], scores[over], ".", color=RED, ms=4)
    axes.axhline(max(shown.threshold, 1e-3), color=RED, lw=1.0, ls="--")
    set_log_axis(axes)
    axes.set_title("score, and its threshold", loc="left", fontsize=9, color=INK)


def _mark_windows(axes: Axes, shown: Shown) -> None:
    for start in range(0, len(shown.rows), shown.window):
        axes.axvline(shown.rows[start] - 0.5, color=GREY, lw=0.5, alpha=0.5)
        part = np.flatnonzero(shown.anomalous[start : start + shown.window])
        if len(part):
            first, last = shown.rows[start + part[0]] - 0.5, shown.rows[start + part[-1]] + 0.5
            axes.axvspan(float(first), float(last), color=RED, alpha=0.18, lw=0)
