"""The report of a run: RUN/report.html, one self-contained page.

`page` puts sections together; each file in `sections/` makes one, and a recipe adds sections of its own with
`Task.report_sections`. `record` reads a run, `section` defines what a section is, `drawing` makes diagrams.
"""

from seqloss.report.page import write_report

__all__ = ["write_report"]
