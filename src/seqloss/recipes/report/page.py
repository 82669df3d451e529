"""The report as one self-contained page."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from seqloss.data.aside import write_aside
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
        RunError: the folder holds no run that has finished an epoch.
        DataError: its pictures cannot be used any more.
    """
    target = file or folder / "report.html"
    write_aside(target, render(gather(folder)))
    return target


def render(found: Gathered) -> str:
    """The page's HTML; all texts are escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    epochs = found.history["epochs"]
    measured = [epoch for epoch in epochs if "validation/distance" in epoch]
    return template.render(
        run=found,
        epochs=epochs,
        best=min(measured, key=lambda epoch: epoch["validation/distance"], default=None),
        curves=[Markup(svg) for svg in plots.curves(found.history)] if epochs else [],
        flow=Markup(plots.gradient_flow(found.history["points"])) if found.history["points"] else "",
        items=[(shown, Markup(plots.item(shown, found.symbols, number))) for number, shown in enumerate(found.shown)],
    )
