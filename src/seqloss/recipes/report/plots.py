"""The report's pictures: SVG whose lines and texts take the page's own colours, light or dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from seqloss.doctor.gradient_flow import BLOCKED
from seqloss.recipes.report.gather import Shown

INK = "#010203"
"""Stands for the page's own text colour."""

BLUE, RED, GREEN, GREY = "#3b8bd0", "#e0533d", "#2f9e6b", "#8a919c"
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
HEAT = LinearSegmentedColormap.from_list("heat", [(0.23, 0.55, 0.82, 0.0), (0.23, 0.55, 0.82, 1.0)])
"""From nothing to blue, so that it lies on any paper."""

CLASSES = 14
"""Rows of a heat map at most."""


@contextmanager
def _drawing(name: str, label: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """A figure, and a list that has its SVG when the block ends; `name` keeps its ids apart from the others', and the
    label is read to those who do not see it."""
    told: list[str] = []
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser's fonts draw it, not ours
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, told
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    told.append(re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL))


def curve(name: str, label: str, draw: Callable[[Axes], None], log: bool = False) -> str:
    """One small diagram over the epochs."""
    with _drawing(name, label, 4.6, 2.5) as (figure, told):
        axes = figure.add_subplot()
        draw(axes)
        if log:
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_title(label, loc="left", fontsize=10, color=INK)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, labelcolor=INK)
    return told[0]


def curves(history: dict[str, Any]) -> list[str]:
    """Loss, distance, gradient norm, blank share, learning rate."""
    points, epochs = history["points"], history["epochs"]
    steps = np.array([point["step"] for point in points], float)
    an_epoch = epochs[0]["step"] / epochs[0]["epoch"] if epochs else history.get("trainer", {}).get("batches", 1)
    validated = any("validation/distance" in epoch for epoch in epochs)
    when = steps / an_epoch
    ends = [epoch["epoch"] for epoch in epochs]

    def of(name: str) -> list[float]:
        return [point[name] for point in points]

    def ended(name: str) -> list[float]:
        return [epoch.get(name, np.nan) for epoch in epochs]

    def loss(axes: Axes) -> None:
        axes.plot(when, of("loss"), color=BLUE, label="training")
        if validated:
            axes.plot(ends, ended("validation/loss"), color=RED, marker="o", ms=3, label="validation")
            label = "validation, pictures blanked out"
            axes.plot(ends, ended("validation/blanked"), color=GREY, ls=":", marker=".", ms=3, label=label)

    def distance(axes: Axes) -> None:
        axes.plot(ends, ended("validation/distance"), color=RED, marker="o", ms=3, label="normalised edit distance")
        axes.plot(ends, ended("validation/characters"), color=GREEN, marker="o", ms=3, label="character error")
        axes.set_ylim(bottom=0)

    def norm(axes: Axes) -> None:
        axes.plot(when, of("norm"), color=BLUE, label="before clipping")
        if history.get("clip"):
            axes.axhline(history["clip"], color=RED, ls="--", lw=1.2, label=f"clipped to {history['clip']:g}")

    def clipped(axes: Axes) -> None:
        axes.plot(when, of("clipped"), color=BLUE)
        axes.set_ylim(-0.03, 1.03)

    def blank(axes: Axes) -> None:
        axes.plot(when, of("blank"), color=BLUE)
        axes.set_ylim(-0.03, 1.03)

    def rate(axes: Axes) -> None:
        axes.plot(when, of("lr"), color=BLUE)
        axes.set_ylim(bottom=0)

    return [
        curve("loss", "loss, nats a character", loss, log=True),
        *([curve("distance", "mistakes on validation pictures", distance)] if validated else []),
        curve("blank", "share of frames that say blank", blank),
        curve("norm", "norm of the gradient", norm, log=True),
        curve("clipped", "share of steps that were clipped", clipped),
        curve("rate", "learning rate", rate),
    ]


def gradient_flow(points: Sequence[dict[str, Any]], bins: int = 48) -> str:
    """A row of bars for each layer over training, on one logarithmic scale: a blocked layer has none."""
    layers = list(points[0]["layers"]) if points else []
    edges = np.linspace(0, len(points), min(bins, len(points)) + 1).astype(int) if points else np.zeros(1, int)
    spans = [points[first:last] for first, last in pairwise(edges)]
    means = np.array([[_mean(span, name) for span in spans] for name in layers]).reshape(len(layers), -1)
    finite = np.isfinite(means)
    largest = np.where(finite, means, 0.0).max(axis=0, initial=0.0)
    blocked = finite & ~(means > BLOCKED * largest)
    positive = means[finite & ~blocked]
    least = positive.min(initial=1.0) / 2
    span = max(np.log(positive.max(initial=1.0) / least), 1e-9)
    with _drawing("flow", "mean gradient of each layer over training", 9.4, 0.5 + 0.27 * max(1, len(layers))) as (
        figure,
        told,
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
        axes.set_yticks(-np.arange(len(layers)) + 0.3, [_short(name) for name in layers], fontsize=8)
        axes.set_xticks([])
        axes.set_xlabel("training →")
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
    return told[0]


def _mean(points: Sequence[dict[str, Any]], layer: str) -> float:
    return float(np.mean([point["layers"].get(layer, 0.0) for point in points]))


def _short(name: str) -> str:
    return name.removeprefix("network.").removesuffix(".weight")


def width(shown: Shown) -> int:
    """Pixels that an item's picture wants."""
    return max(640, 9 * len(shown.best) // 2)


def item(shown: Shown, symbols: Sequence[str], number: int) -> str:
    """A picture over the probabilities of the classes that matter, with the best path that reads as the truth."""
    rows = classes_to_show(shown)
    place = {k: row for row, k in enumerate(rows)}
    frames = len(shown.best)
    label = f"probabilities of the classes for {shown.truth}"
    with _drawing(f"item{number}", label, width(shown) / 100, 1.15 + 0.19 * len(rows)) as (figure, told):
        above, below = figure.subplots(2, 1, height_ratios=[1.0, max(1.2, 0.26 * len(rows))], sharex=True)
        above.imshow(shown.line, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(0, frames, 0, 1))
        above.axis("off")
        heat = shown.probabilities[:, rows].T
        below.imshow(
            heat, cmap=HEAT, vmin=0, vmax=1, aspect="auto", extent=(0, frames, len(rows), 0), interpolation="none"
        )
        below.grid(False)
        middle = np.arange(frames) + 0.5
        if len(shown.wanted):
            below.plot(middle, [place[k] + 0.5 for k in shown.wanted], color=GREEN, lw=1.2)
        if shown.read != shown.truth:
            below.plot(middle, [place[k] + 0.5 for k in shown.best], ".", color=RED, ms=3)
        below.set_yticks(np.arange(len(rows)) + 0.5, [_safe(symbols[k]) for k in rows], fontsize=8)
        below.set_xlabel("frame")
        below.tick_params(length=0)
        below.spines[:].set_visible(False)
    return told[0]


def classes_to_show(shown: Shown) -> list[int]:
    """The truth's classes in their order, then what is said, then what else gets most, then the blank."""
    wanted = [k for k in dict.fromkeys([*shown.wanted.tolist(), *shown.best.tolist()]) if k]
    most = shown.probabilities.max(axis=0, initial=0.0)
    others = [int(k) for k in np.argsort(-most) if k and k not in wanted and most[k] > 0.05]
    return [*wanted, *others[: max(0, CLASSES - len(wanted))], 0]


def _safe(symbol: str) -> str:
    """A space would not be seen."""
    return "␣" if symbol == " " else symbol
