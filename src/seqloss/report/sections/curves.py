"""The course of training: loss, metrics, step values, gradient norm, clipping, learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from seqloss.report.drawing import BLUE, GREEN, GREY, RED, draw_curve
from seqloss.report.record import RunRecord, share_of_clipped_steps
from seqloss.report.section import Block, Figure, render_template

SHARE = (-0.03, 1.03)


def curves_section(record: RunRecord) -> Iterator[Block]:
    """A diagram for each recorded quantity."""
    if not record.points:
        return
    curves = [Markup(svg) for svg in draw_curves(record)]
    clip = record.history["clip"]
    limit = f" to {clip:g}" if clip else ""
    figure = Figure(f"{share_of_clipped_steps(record.points):.0%}", f"of steps clipped{limit}")
    yield Block("Training curves", render_template("seqloss.report", "curves.html", curves=curves), (figure,))


def draw_curves(record: RunRecord) -> Iterator[str]:
    """The diagrams as SVG."""
    history, task = record.history, record.task
    when, ends = _epochs_of_points(history), [epoch["epoch"] for epoch in record.epochs]

    def at_points(name: str) -> list[float]:
        return [point[name] for point in record.points]

    def at_ends(name: str) -> list[float]:
        return [epoch.get(name, np.nan) for epoch in record.epochs]

    def has(name: str) -> bool:
        return any(name in epoch for epoch in record.epochs)

    def loss(axes: Axes) -> None:
        axes.plot(when, at_points("loss"), color=BLUE, label="training")
        if has("validation/loss"):
            axes.plot(ends, at_ends("validation/loss"), color=RED, marker="o", ms=3, label="validation")
        if has("validation/empty_input"):
            label = f"validation, empty {task.item}s"
            axes.plot(ends, at_ends("validation/empty_input"), color=GREY, ls=":", marker=".", ms=3, label=label)

    def norm(axes: Axes) -> None:
        axes.plot(when, at_points("norm"), color=BLUE, label="before clipping")
        if history.get("clip"):
            axes.axhline(history["clip"], color=RED, ls="--", lw=1.2, label=f"clipped to {history['clip']:g}")

    def of_points(name: str, limits: tuple[float, float] | None) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            axes.plot(when, at_points(name), color=BLUE)
            if limits:
                axes.set_ylim(*limits)

        return draw

    def of_metrics(names: dict[str, str]) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            for (name, label), color in zip(names.items(), (RED, GREEN, BLUE, GREY), strict=False):
                axes.plot(ends, at_ends(name), color=color, marker="o", ms=3, label=label)
            axes.set_ylim(bottom=0)

        return draw

    def rate(axes: Axes) -> None:
        axes.plot(when, at_points("lr"), color=BLUE)
        axes.set_ylim(bottom=0)

    yield draw_curve("loss", f"loss ({task.unit})", loss, log=_all_positive(at_points("loss")))
    for title, names in _charts(record).items():
        if any(has(name) for name in names):
            yield draw_curve(f"chart {title}", title, of_metrics(names))
    for value in task.step_values:
        if all(value.name in point for point in record.points):
            yield draw_curve(f"step {value.name}", value.label, of_points(value.name, value.limits))
    yield draw_curve("norm", "gradient norm", norm, log=_all_positive(at_points("norm")))
    yield draw_curve("clipped", "share of clipped steps", of_points("clipped", SHARE))
    yield draw_curve("rate", "learning rate", rate)


def _epochs_of_points(history: dict[str, Any]) -> np.ndarray:
    """Where the points are on the axis of epochs."""
    epochs = history["epochs"]
    per_epoch = epochs[0]["step"] / epochs[0]["epoch"] if epochs else history["trainer"].get("batches", 1)
    return np.array([point["step"] for point in history["points"]], float) / per_epoch


def _charts(record: RunRecord) -> dict[str, dict[str, str]]:
    """Title -> the logged names of its metrics and their labels."""
    charts: dict[str, dict[str, str]] = {}
    for metric in record.task.metrics:
        if metric.chart:
            charts.setdefault(metric.chart, {})[f"validation/{metric.name}"] = metric.label
    return charts


def _all_positive(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis can show the values that are numbers."""
    return all(value > 0 for value in values if np.isfinite(value))
