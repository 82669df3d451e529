"""What the doctor found, before the first step and later; and the laws of trainings that it checked."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from seqloss.doctor.findings import Finding
from seqloss.report.drawing import BLUE, draw_svg
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, render_template


def findings_section(record: RunRecord) -> Iterator[Block]:
    """A row for each finding; nothing where nothing was found."""
    if record.findings:
        drawn = [
            [Markup(svg) for svg in draw_curves(number, finding)] for number, finding in enumerate(record.findings)
        ]
        rows = list(zip(record.findings, drawn, strict=True))
        yield Block("Findings", render_template("seqloss.report", "findings.html", rows=rows))


def draw_curves(number: int, finding: Finding) -> Iterator[str]:
    """A small diagram for each curve of a finding."""
    for name, values in finding.curves.items():
        with draw_svg(f"finding-{number}-{name}", f"{name} over time", 3.4, 1.5) as (figure, drawn):
            axes = figure.add_subplot()
            axes.plot([float(value) for value in values], color=BLUE)
            axes.set(title=f"{name} over time", xticks=[])
        yield drawn[0]


def laws_section(record: RunRecord) -> Iterator[Block]:
    """The laws that were checked, and why others were not."""
    if record.findings is not None:
        yield Block("Laws of trainings", render_template("seqloss.report", "laws.html", findings=record.findings))
