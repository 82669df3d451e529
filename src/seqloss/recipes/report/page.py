"""The report as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seqloss.data.atomic_write import write_atomically
from seqloss.recipes.report import plots
from seqloss.recipes.report.gather import Gathered, gather


def write_report(folder: Path, file: Path | None = None) -> Path:
    """Write RUN/report.html, or `file`: what a run was like, and what it reads.

    Args:
        folder: of a run, finished or not.
        file: where to; written aside, then renamed.

    Returns:
        where it is.

    Raises:
        RunError: the folder holds no run that has taken a step.
    """
    target = file or folder / "report.html"
    write_atomically(target, render(gather(folder)))
    return target


def render(found: Gathered) -> str:
    """The page's HTML; all texts are escaped."""
    points = found.history["points"]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(seen=seen, duration=duration)
    template = environment.from_string(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    epochs = found.history["epochs"]
    measured = [epoch for epoch in epochs if "validation/distance" in epoch]
    return template.render(
        run=found,
        epochs=epochs,
        best=min(measured, key=lambda epoch: epoch["validation/distance"], default=None),
        curves=[Markup(svg) for svg in plots.curves(found.history)] if points else [],
        clipped=share_clipped(points),
        flow=Markup(plots.gradient_flow(points)) if points else "",
        items=[
            (shown, plots.width(shown), Markup(plots.item(shown, found.symbols, number)))
            for number, shown in enumerate(found.items.shown if found.items else [])
        ],
    )


def seen(text: str) -> str:
    """A text whose first and last spaces can be seen.

    Example:
        >>> seen("a b "), seen("  ")
        ('a b␣', '␣␣')
    """
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    return "␣" * before + inner + "␣" * (len(text) - before - len(inner))


def duration(seconds: float) -> str:
    """In words.

    Example:
        >>> duration(71.3), duration(83 * 60), duration(5.2)
        ('71 seconds', '83 minutes', '5 seconds')
    """
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def share_clipped(points: Sequence[dict[str, Any]]) -> float:
    """The share of all steps whose gradient was clipped."""
    steps = [after["step"] - before["step"] for before, after in pairwise([{"step": 0}, *points])]
    return sum(point["clipped"] * n for point, n in zip(points, steps, strict=True)) / max(1, sum(steps))
