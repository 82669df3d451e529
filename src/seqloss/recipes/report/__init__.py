"""A run as a page: RUN/report.html, from its history, its best epoch and its validation items.

`gather` reads a run, `plots` draws, `page` puts both into one self-contained file.
"""

from seqloss.recipes.report.page import write_report

__all__ = ["write_report"]
