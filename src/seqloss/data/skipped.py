"""Write the skipped rows to a CSV file. Cells that a spreadsheet would execute as formulas are escaped."""

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
    """Write file, row and reason of each skipped row, atomically.

    Args:
        path: of the CSV file.
        bad: the skipped rows.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.data import write_skipped
        >>> from seqloss.errors import BadRow
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_skipped(Path(folder) / "skipped.csv", [BadRow("labels.csv", 3, "c.png: the text is empty")])
        ...     print((Path(folder) / "skipped.csv").read_text())
        "file","row","reason"
        "labels.csv","3","c.png: the text is empty"
        <BLANKLINE>
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["file", "row", "reason"])
    for row in bad:
        writer.writerow([escape_control(escape_formula(row.file)), row.row, escape_control(escape_formula(row.reason))])
    write_atomically(path, text.getvalue())


def escape_formula(cell: str) -> str:
    """The cell, with an apostrophe in front if a spreadsheet would execute it."""
    visible = "".join(dropwhile(lambda c: c.isspace() or not c.isprintable(), cell))
    runs = visible[:1] and visible[0] in FORMULA_STARTS
    return "'" + cell if runs or cell[:1] in ("\t", "\r") else cell


def escape_control(cell: str) -> str:
    """The cell with escaped control characters, which would move the cursor of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in cell)
