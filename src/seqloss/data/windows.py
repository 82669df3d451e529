"""Windows of a long table of numbers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from seqloss.counts import format_count
from seqloss.errors import BadRow, DataError, DTypeError, OptionError, ShapeError, wrong_rank


def cut_windows(table: object, length: int, step: int = 1) -> np.ndarray:
    """Cut a table into windows of equal length, as rows of a batch.

        windows[w, t] = table[w * step + t]

    Args:
        table: (time, features) or (time,), a NumPy array or what can become one, or a pandas DataFrame, whose index
            is not looked at. pandas is not imported.
        length: steps of a window.
        step: from the start of a window to the start of the next one. Steps after the last full window are left out.

    Returns:
        Windows (windows, length, features), a copy; float32 if the table is, else float64.

    Raises:
        OptionError: length or step are below 1.
        ShapeError: the table has another rank, or fewer steps than a window.
        DTypeError: a column is no numbers.
        DataError: values are missing or not finite; `rows` lists all such rows.

    Example:
        >>> import numpy as np
        >>> from seqloss.data import cut_windows
        >>> cut_windows(np.arange(7.0), 3, step=2)[:, :, 0].tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]
    """
    for name, value in (("length", length), ("step", step)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise OptionError(f"{name}: found {value!r}, expected a whole number of at least 1.")
    values, columns = _read_values(table)
    if values.ndim != 2:
        raise wrong_rank("table", values.shape, "(time, features) or (time,)")
    if len(values) < length:
        raise ShapeError(
            f"table: found {format_count(len(values), 'step')}, expected at least {length}, the length of a window."
        )
    _refuse_missing(values, columns)
    views = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)[::step]  # (windows, features, length)
    return views.transpose(0, 2, 1).copy(order="C")  # the views share the memory of the table


def _read_values(table: object) -> tuple[np.ndarray, list[str]]:
    """(time, features), and the names of the features."""
    if not (hasattr(table, "to_numpy") and hasattr(table, "columns")):
        values = np.asarray(table)
        values = values[:, None] if values.ndim == 1 else values
        return _as_floats(values, "table"), [f"column {k}" for k in range(values.shape[-1] if values.ndim else 0)]
    frame = cast(Any, table)
    names = [f"column {name!r}" for name in frame.columns]
    parts = [_as_floats(np.asarray(frame.iloc[:, k].to_numpy()), f"table, {name}") for k, name in enumerate(names)]
    return np.stack(parts, axis=1) if parts else np.empty((len(frame), 0)), names


def _as_floats(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype == np.float32:
        return values
    if values.dtype.kind in "mMc":
        raise DTypeError(f"{name}: found {values.dtype}, expected real numbers; leave out columns of times.")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DTypeError(
            f"{name}: found {values.dtype}, expected numbers ({error}); leave out columns of text."
        ) from error


def _refuse_missing(values: np.ndarray, columns: list[str]) -> None:
    bad = [
        BadRow("table", int(row), f"{columns[column]}: found {values[row, column]}, expected a finite number")
        for row, column in np.argwhere(~np.isfinite(values))
    ]
    if bad:
        more = f", and {len(bad) - 1} more such values" if len(bad) > 1 else ""
        raise DataError(f"table, row {bad[0].row}, {bad[0].reason}{more}; fill the gaps, or cut there.", bad)
