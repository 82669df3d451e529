"""The tables of settings and of package versions."""

from __future__ import annotations

from collections.abc import Iterator

from seqloss.report.record import RunRecord
from seqloss.report.section import Block, render_template


def settings_section(record: RunRecord) -> Iterator[Block]:
    """Two tables."""
    tables = [record.settings, list(record.history["versions"].items())]
    yield Block("Settings and versions", render_template("seqloss.report", "settings.html", tables=tables))
