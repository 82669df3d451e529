"""Windows of arrays and data frames."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from seqloss.data import cut_windows
from seqloss.errors import DataError, DTypeError, OptionError, ShapeError


class Column:
    def __init__(self, values: Any) -> None:
        self.values = values

    def to_numpy(self) -> np.ndarray:
        return np.asarray(self.values)


class Frame:
    """What `cut_windows` asks of a pandas DataFrame, which is not installed here."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = list(columns)
        self.parts = columns
        self.iloc = self

    def __getitem__(self, key: tuple[slice, int]) -> Column:
        return Column(self.parts[self.columns[key[1]]])

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def to_numpy(self) -> np.ndarray:
        raise AssertionError("would make objects of columns of several types")


@pytest.mark.parametrize(("length", "step"), [(1, 1), (3, 1), (3, 2), (4, 7), (10, 1)])
def test_windows_are_those_of_a_loop(length: int, step: int) -> None:
    table = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    found = cut_windows(table, length, step)
    expected = [table[start : start + length] for start in range(0, 10 - length + 1, step)]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    found[:] = 0
    assert table.any()  # a copy


def test_a_data_frame_gives_the_windows_of_its_numbers() -> None:
    frame = Frame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    np.testing.assert_array_equal(cut_windows(frame, 2), [[[1, 0.5], [2, 1.5]], [[2, 1.5], [3, 2.5]]])


def test_pandas_is_not_imported() -> None:
    code = "import sys, numpy, seqloss.data; seqloss.data.cut_windows(numpy.ones((4, 1)), 2)"
    code += "; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(
        DTypeError, match=r"table, column 'name': found .*, expected numbers .*leave out columns of text"
    ):
        cut_windows(Frame({"a": [1, 2], "name": ["x", "y"]}), 1)
    with pytest.raises(DTypeError, match=r"table, column 'day': found datetime64.*leave out columns of times"):
        cut_windows(Frame({"day": np.array(["2024-01-01"], "M8[D]")}), 1)
    with pytest.raises(
        DataError, match="table, row 1, column 'b': found nan, expected a finite number, and 1 more"
    ) as found:
        cut_windows(Frame({"a": [1.0, 2.0, np.inf], "b": [1.0, None, 3.0]}), 1)
    assert [row.row for row in found.value.rows] == [1, 2]
    with pytest.raises(ShapeError, match="table: found 2 steps, expected at least 3"):
        cut_windows([1.0, 2.0], 3)
    with pytest.raises(ShapeError, match=r"table: expected shape \(time, features\) or \(time,\), found \(1, 1, 1\)"):
        cut_windows(np.ones((1, 1, 1)), 1)
    for options in ({"length": 0}, {"length": 2, "step": 0}, {"length": 1.5}):
        with pytest.raises(OptionError, match="expected a whole number of at least 1"):
            cut_windows([1.0, 2.0], **options)
