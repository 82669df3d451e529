"""Read a CSV file of numbers over time, and report every row that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from seqloss.counts import format_count
from seqloss.data.tables import Line, declared_separator, guess_separator, numbered_lines, read_csv, read_text
from seqloss.data.unusable_tables import make_unusable_error
from seqloss.errors import BadRow, DataError

TIME_NAMES = ("time", "date", "timestamp", "datetime")
"""A first column of this name that is numbers is the time."""

SHOWN = 8
"""Names of channels that are printed."""

Time = datetime | float


@dataclass(frozen=True)
class NumberTable:
    """A table of numbers, a row for each time step.

    Attributes:
        values: (rows, channels), float64.
        names: of the channels.
        places: of each row among all rows, bad ones included: where it jumps, rows are left out.
        times: of each row; None without a time column.
        words: what was read, in a line.
    """

    values: np.ndarray
    names: Sequence[str]
    places: np.ndarray
    times: Sequence[Time] | None
    words: str


def read_number_table(path: Path) -> tuple[NumberTable, list[BadRow]]:
    """Read a table: commas, semicolons, tabs or bars; with or without a header; with or without a time column.

    A column is the time if its first cell is an ISO date, or if it is the first one and is called time, date, datetime
    or timestamp. Times must increase. All other columns are channels.

    Args:
        path: of the file.

    Returns:
        the table of the usable rows; and the rows that are not, with all their faults.

    Raises:
        DataError: the file cannot be read, or has no rows, no channels, or not one row that can be used.
    """
    text = read_text(path)
    _, first = next(numbered_lines(text), (0, ""))
    declared = declared_separator(text)
    lines = list(read_csv(text, declared or guess_separator(first)))[1 if declared else 0 :]
    names, lines = _take_header(lines)
    if not lines:
        raise DataError(f"{path}: found no rows, expected a header line and a row of numbers for each time step.")
    time = _find_time_column(names, lines[0])
    if len(names) - (time is not None) < 1:
        raise DataError(f"{path}: found no column of numbers beside the time; add at least one.")
    return _read_rows(path, names, lines, time)


def _take_header(lines: list[Line]) -> tuple[list[str], list[Line]]:
    """Names of the columns, and the other lines. A first line with a number in it is no header."""
    if not lines:
        return [], []
    cells = [str(cell).strip() for cell in lines[0].cells]
    if any(_read_number(cell) is not None for cell in cells):
        return [str(number + 1) for number in range(len(cells))], lines
    return [cell or str(number + 1) for number, cell in enumerate(cells)], lines[1:]


def _find_time_column(names: Sequence[str], line: Line) -> int | None:
    for column, cell in enumerate(line.cells[: len(names)]):
        if _read_number(str(cell)) is None and _read_date(str(cell)) is not None:
            return column
    return 0 if names and names[0].lower() in TIME_NAMES else None


def _read_rows(
    path: Path, names: Sequence[str], lines: Sequence[Line], time: int | None
) -> tuple[NumberTable, list[BadRow]]:
    bad: list[BadRow] = []
    values: list[list[float]] = []
    places: list[int] = []
    times: list[Time] = []
    dates = time is not None and _read_number(str(lines[0].cells[time])) is None
    for place, line in enumerate(lines):
        row, when, faults = _read_row(names, line, time, dates)
        if not faults and when is not None:
            faults = _compare_times(times, when)
        if faults:
            bad.append(BadRow(str(path), line.number, "; ".join(faults)))
            continue
        values.append(row)
        places.append(place)
        times += [when] if when is not None else []
    if not values:
        cells = [[*map(str, line.cells)] for line in lines if len(line.cells) == len(names)]
        raise make_unusable_error(
            path, cells, bad, lambda column, cell: _find_fault(column, names[column], cell, column == time and dates)
        )
    channels = [name for column, name in enumerate(names) if column != time]
    shown = ", ".join([*channels[:SHOWN], *(["..."] if len(channels) > SHOWN else [])])
    words = f"table: {format_count(len(values), 'row')} of {format_count(len(channels), 'channel')} ({shown})"
    words += "; no time column" if time is None else f"; {_describe_times(names[time], times)}"
    array = np.array(values, np.float64).reshape(len(values), len(channels))
    return NumberTable(array, channels, np.array(places), times if time is not None else None, words), bad


def _read_row(
    names: Sequence[str], line: Line, time: int | None, dates: bool
) -> tuple[list[float], Time | None, list[str]]:
    """Numbers of a row, its time, and what is wrong with it."""
    if line.problem:
        return [], None, [line.problem]
    if len(line.cells) != len(names):
        return [], None, [f"found {format_count(len(line.cells), 'cell')}, expected {len(names)}, as in the first line"]
    row: list[float] = []
    when: Time | None = None
    faults = []
    for column, (name, cell) in enumerate(zip(names, map(str, line.cells), strict=True)):
        date = column == time and dates
        if fault := _find_fault(column, name, cell, date):
            faults.append(fault)
        elif column == time:
            when = _read_date(cell) if date else _read_number(cell)
        else:
            row.append(float(cell))
    return row, when, faults


def _find_fault(column: int, name: str, cell: str, date: bool) -> str | None:
    """What is wrong with a cell; None if it can be used."""
    found = _read_date(cell) if date else _read_number(cell)
    if found is not None and (isinstance(found, datetime) or math.isfinite(found)):
        return None
    return _describe_cell(column, name, cell.strip(), date)


def _describe_cell(column: int, name: str, cell: str, date: bool) -> str:
    where = f"column {column + 1}" + ("" if name == str(column + 1) else f" ({name})")
    if not cell:
        return f"{where}: the cell is empty; fill the gap, or remove the row"
    if date:
        return f"{where}: found {cell!r}, expected an ISO date such as 2024-03-31 or 2024-03-31T12:30"
    if _read_number(cell) is not None:
        return f"{where}: found {cell}, expected a finite number"
    advice = "; write a point for the decimal comma" if _read_number(cell.replace(",", ".")) is not None else ""
    return f"{where}: found {cell!r}, expected a number{advice}"


def _compare_times(before: Sequence[Time], when: Time) -> list[str]:
    if not before:
        return []
    try:
        if before[-1] < when:  # type: ignore[operator]
            return []
    except TypeError:
        return [f"time {when}: found it with and without a time zone in one column; write them all alike"]
    return [f"time {when} does not come after {before[-1]}; sort the rows, remove repeated ones, or rename the column"]


def _describe_times(name: str, times: Sequence[Time]) -> str:
    if len(times) < 2:
        return f"the column {name} is the time"
    steps = [after - before for before, after in pairwise(times)]  # type: ignore[operator]
    usual, largest = median(steps), max(steps)  # type: ignore[type-var]
    shown = [step if isinstance(step, timedelta) else f"{step:g}" for step in (usual, largest)]
    words = f"the column {name} is the time, from {times[0]} to {times[-1]}, usual step {shown[0]}"
    return words if largest <= usual * 1.5 else f"{words}, largest step {shown[1]}: rows may be missing there"  # type: ignore[operator]


def _read_number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_date(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
