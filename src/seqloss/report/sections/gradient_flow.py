"""The gradient that reaches each layer, over training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

from seqloss.doctor.gradient_flow import BLOCKED
from seqloss.report.drawing import BLUE, GREY, INK, RED, draw_svg
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, render_template


def gradient_flow_section(record: RunRecord) -> Iterator[Block]:
    """One diagram of all layers."""
    if record.points:
        svg = Markup(draw_gradient_flow(record.points))
        yield Block("Gradient flow", render_template("seqloss.report", "gradient_flow.html", svg=svg))


def draw_gradient_flow(points: Sequence[dict[str, Any]], bins: int = 48) -> str:
    """A row of bars for each layer over training, on one logarithmic scale; a blocked layer has none."""
    layers = list(points[0]["layers"]) if points else []
    edges = np.linspace(0, len(points), min(bins, len(points)) + 1).astype(int) if points else np.zeros(1, int)
    spans = [points[first:last] for first, last in pairwise(edges)]
    means = np.array([[_mean_gradient(span, name) for span in spans] for name in layers]).reshape(len(layers), -1)
    finite = np.isfinite(means)
    largest = np.where(finite, means, 0.0).max(axis=0, initial=0.0)
    blocked = finite & ~(means > BLOCKED * largest)
    positive = means[finite & ~blocked]
    least = positive.min(initial=1.0) / 2
    span = max(np.log(positive.max(initial=1.0) / least), 1e-9)
    with draw_svg("flow", "mean gradient of each layer over training", 9.4, 0.5 + 0.27 * max(1, len(layers))) as (
        figure,
        drawn,
    ):
        axes = figure.add_subplot()
        for place, values in enumerate(means):
            shown = np.where(finite[place], values, 0.0)
            heights = np.where(blocked[place], 0.0, 0.86 * np.log(np.maximum(shown, least) / least) / span)
            heights = np.where(finite[place], heights, 0.86)
            colours = np.where(finite[place], BLUE, RED)
            axes.bar(np.arange(len(values)), heights, bottom=-place, width=0.86, color=colours.tolist())
            axes.axhline(-place, color=GREY, lw=0.4)
            if blocked[place].mean() > 0.5:
                words = "no gradient" if not values.any() else "blocked"
                axes.text(0, -place + 0.2, words, color=RED, fontweight="bold", fontsize=9)
            if not finite[place].all():
                first = int(np.argmin(finite[place]))
                axes.text(first, -place + 0.2, "NaN", color=INK, fontweight="bold", fontsize=9)
        axes.set_yticks(-np.arange(len(layers)) + 0.3, [_shorten(name) for name in layers], fontsize=8)
        axes.set_xticks([])
        axes.set_xlabel("training →")
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
    return drawn[0]


def _mean_gradient(points: Sequence[dict[str, Any]], layer: str) -> float:
    return float(np.mean([point["layers"].get(layer, 0.0) for point in points]))


def _shorten(name: str) -> str:
    return name.removeprefix("network.").removesuffix(".weight")
