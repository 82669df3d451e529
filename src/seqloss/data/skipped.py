"""The rows that training left out, as a CSV file that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from seqloss.data.atomic_write import write_atomically
from seqloss.errors import BadRow

FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"  # the last four: their full-width forms


def write_skipped(path: Path, bad: Sequence[BadRow]) -> None:
    """Writes file, row and reason of each bad row, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["file", "row", "reason"])
    for row in bad:
        writer.writerow([printable(harmless(row.file)), row.row, printable(harmless(row.reason))])
    write_atomically(path, text.getvalue())


def harmless(cell: str) -> str:
    """The cell, behind an apostrophe if a spreadsheet would run it; one behind blanks too."""
    visible = "".join(dropwhile(lambda c: c.isspace() or not c.isprintable(), cell))
    runs = visible[:1] and visible[0] in FORMULA_STARTS
    return "'" + cell if runs or cell[:1] in ("\t", "\r") else cell


def printable(cell: str) -> str:
    """The cell with control characters as escapes: they would move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in cell)
