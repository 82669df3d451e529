"""The report as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seqloss.data.atomic_write import write_atomically
from seqloss.report.record import RunRecord, read_record
from seqloss.report.section import Block, Section, render_template
from seqloss.report.sections.curves import curves_section
from seqloss.report.sections.epochs import epochs_section
from seqloss.report.sections.findings import findings_section, laws_section
from seqloss.report.sections.gradient_flow import gradient_flow_section
from seqloss.report.sections.settings import settings_section
from seqloss.report.sections.summary import summary_section
from seqloss.training.run import Run
from seqloss.training.task import Task

BEFORE: tuple[Section, ...] = (summary_section, findings_section, curves_section, gradient_flow_section)
AFTER: tuple[Section, ...] = (epochs_section, laws_section, settings_section)
"""The sections of every report; those of the recipe stand between."""


def write_report(task: Task, run: Run, file: Path | None = None) -> Path:
    """Write the report of a run, finished or not.

    Args:
        task: of the run: `seqloss.recipes.load_task(folder)`.
        run: its folder.
        file: where to write; None for RUN/report.html.

    Returns:
        the path of the page.

    Raises:
        RunError: the folder contains no run that has taken a step.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.recipes import load_task
        >>> from seqloss.report import write_report
        >>> from seqloss.recipes.autoencoder.settings import Settings
        >>> from seqloss.recipes.autoencoder.task import AutoencoderTask
        >>> from seqloss.training.engine import train
        >>> from seqloss.training.run import Run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table, run = Path(folder) / "log.csv", Path(folder) / "run"
        ...     _ = table.write_text("a,b\\n" + "".join(f"{n % 7},{n % 5}\\n" for n in range(900)))
        ...     found = train(AutoencoderTask(Settings(data=str(table), epochs=1)), run, print_line=lambda line: None)
        ...     page = write_report(load_task(run), Run(run))
        ...     page.name, page.read_text()[:15]
        ('report.html', '<!doctype html>')
    """
    target = file or run.folder / "report.html"
    write_atomically(target, render_page(read_record(task, run)))
    return target


def render_page(record: RunRecord) -> str:
    """The page's HTML; all texts are escaped."""
    blocks = list(_make_blocks(record))
    figures = [figure for block in blocks for figure in block.figures]
    titled = [block for block in blocks if block.title]
    return str(render_template("seqloss.report", "page.html", record=record, figures=figures, blocks=titled))


def _make_blocks(record: RunRecord) -> Iterator[Block]:
    for section in (*BEFORE, *record.task.report_sections(), *AFTER):
        yield from section(record)
