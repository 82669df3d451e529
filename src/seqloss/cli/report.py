"""`seqloss report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqloss.cli import console
from seqloss.recipes import load_task

EXAMPLE = "Example: seqloss report runs/pages --out report.html"


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write. Default: RUN/report.html.", show_default=False)
    ] = None,
) -> None:
    """Write the HTML report of a run: curves, gradient flow, predictions, errors, settings."""
    task = load_task(run)
    from seqloss.report import write_report
    from seqloss.training.run import Run

    with console.err.status(f"writing the report of {run}", spinner="dots"):
        file = write_report(task, Run(run), out or run / "report.html")
    console.print_line(f"wrote {file}")
