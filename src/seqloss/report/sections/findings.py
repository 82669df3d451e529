"""What the doctor found, before the first step and later; and the laws of trainings that it checked."""

from __future__ import annotations

from collections.abc import Iterator

from seqloss.report.record import RunRecord
from seqloss.report.section import Block, render_template


def findings_section(record: RunRecord) -> Iterator[Block]:
    """A row for each finding; nothing where nothing was found."""
    if record.findings:
        yield Block("Findings", render_template("seqloss.report", "findings.html", findings=record.findings))


def laws_section(record: RunRecord) -> Iterator[Block]:
    """The laws that were checked, and why others were not."""
    if record.findings is not None:
        yield Block("Laws of trainings", render_template("seqloss.report", "laws.html", findings=record.findings))
