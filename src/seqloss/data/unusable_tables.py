"""The error for a table without a usable row. It names columns: a list of all rows would say the same in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seqloss.errors import BadRow, DataError

ADVICE = (
    "Remove columns of text, and other columns that are no numbers. Write times as ISO dates such as 2024-03-31T12:30."
)


def make_unusable_error(
    path: Path, rows: Sequence[Sequence[str]], bad: Sequence[BadRow], fault_of: Callable[[int, str], str | None]
) -> DataError:
    """Make the error for a table in which no row can be used.

    Args:
        path: of the file.
        rows: the cells of the rows that have as many as the first line.
        bad: all rows, with their faults.
        fault_of: what is wrong with a cell, from the number of its column and its text; None if nothing is.

    Returns:
        an error that names each column without one usable cell; or, if there is no such column, the first row's fault.
    """
    faults = []
    for column, cells in enumerate(zip(*rows, strict=True)):
        filled = [cell for cell in cells if cell.strip()]
        if all(fault_of(column, cell) for cell in filled):
            faults.append(fault_of(column, filled[0]) if filled else f"column {column + 1}: all cells are empty")
    if faults:
        return DataError("\n".join([f"{path}: no row can be used.", *(f"  {fault}" for fault in faults), ADVICE]))
    if len(bad) == 1:
        return DataError(f"{path}: its row cannot be used. Line {bad[0].row}: {bad[0].reason}.")
    return DataError(f"{path}: none of the {len(bad)} rows can be used. The first, line {bad[0].row}: {bad[0].reason}.")
