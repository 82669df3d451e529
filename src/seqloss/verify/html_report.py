"""Write reports as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2

from seqloss import __version__
from seqloss.data.atomic_write import write_atomically
from seqloss.verify.laws import LAWS
from seqloss.verify.report import HOLDS, NOT_SUPPORTED, SKIPPED, Outcome, Report
from seqloss.verify.severity import CARELESS, WRONG

CSS_CLASSES: dict[Outcome, str] = {
    HOLDS: "holds",
    WRONG: "wrong",
    CARELESS: "careless",
    NOT_SUPPORTED: "unsupported",
    SKIPPED: "skipped",
}
SIGNS: dict[Outcome, str] = {HOLDS: "✓", WRONG: "✗", CARELESS: "!", NOT_SUPPORTED: "·", SKIPPED: ""}


def render_html(reports: Sequence[Report]) -> str:
    """The HTML of the page. All texts are escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    verified = [report for report in reports if not report.skipped]
    return template.render(
        verified=verified,
        skipped=[report for report in reports if report.skipped],
        laws=LAWS,
        by_law=[{result.law: result for result in report.results} for report in verified],
        classes=CSS_CLASSES,
        signs=SIGNS,
        version=__version__,
    )


def write_html(reports: Sequence[Report], file: Path) -> None:
    """Write the page atomically."""
    write_atomically(file, render_html(reports))
