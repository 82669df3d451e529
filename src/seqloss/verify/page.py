"""Reports as one self-contained page, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2

from seqloss import __version__
from seqloss.verify.laws import LAWS
from seqloss.verify.report import Report

CLASSES = {"holds": "holds", "breaks": "breaks", "not promised": "none", "not tried": "untried"}
SIGNS = {"holds": "✓", "breaks": "✗", "not promised": "·", "not tried": ""}


def render(reports: Sequence[Report]) -> str:
    """The page's HTML; all texts are escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    tried = [report for report in reports if not report.skipped]
    return template.render(
        tried=tried,
        skipped=[report for report in reports if report.skipped],
        laws=LAWS,
        by_law=[{result.law: result for result in report.results} for report in tried],
        classes=CLASSES,
        signs=SIGNS,
        version=__version__,
    )


def write(reports: Sequence[Report], file: Path) -> None:
    """Beside its place first, then renamed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(file.name + ".part")
    aside.write_text(render(reports), encoding="utf-8")
    aside.replace(file)
