"""Errors as messages and exit codes."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from seqloss import errors
from seqloss.cli import console
from seqloss.cli.exit_codes import FOUND, REFUSED

EXTRAS = {
    "hypothesis": "verify", "cloudpickle": "verify", "soundfile": "speech", "soxr": "speech", "jiwer": "speech",
    "snowballstemmer": "stems",
}  # fmt: skip
"""The extra that installs a package; the others come with "train"."""


def report_error(problem: Exception) -> int:
    """Print an error; return its exit code: whether the user can correct it."""
    message = describe_error(problem)
    if isinstance(problem, errors.DataError) and problem.rows:
        _list_rows(problem.rows)
        message = message.splitlines()[0].rstrip(":") + (f"; {problem.note}" if problem.note else "")
    expected = isinstance(problem, (errors.SeqLossError, ImportError, OSError))
    shown = message if expected else f"{type(problem).__name__}: {message}  (--debug shows where)"
    console.warn("error:", f" {shown}")
    return REFUSED if expected else FOUND


def describe_error(problem: Exception) -> str:
    """The message of an error, with what to do next."""
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return where + problem.strerror + full * "; free some space, then give the same command again."
    package = (problem.name or "").partition(".")[0] if isinstance(problem, ModuleNotFoundError) else ""
    if package and package != "seqloss":
        return str(errors.missing_extra(package, EXTRAS.get(package, "train"), "this command"))
    return str(problem)


def _list_rows(rows: Sequence[errors.BadRow]) -> None:
    """A table of invalid rows; outside a terminal its columns are separated by tabs, and nothing is folded."""
    escape = console.escape_control
    cells = [(escape(row.file), "" if row.row is None else str(row.row), escape(row.reason)) for row in rows]
    names = ("file", "row", "reason")
    if not console.err.is_terminal:
        print("\n".join("\t".join(line) for line in [names, *cells]), file=sys.stderr)
        return
    table = Table(title="rows that cannot be used")
    for name in names:
        table.add_column(name, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    console.err.print(table)
