"""Tables of numbers over time, as people export them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.number_tables import NumberTable, read_number_table
from seqloss.errors import BadRow, DataError


@pytest.fixture
def read(tmp_path: Path):
    def write_and_read(text: str) -> tuple[NumberTable, list[BadRow]]:
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        return read_number_table(tmp_path / "t.csv")

    return write_and_read


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n3,-4e1\n",
        "a;b\r\n1;2.5\r\n3;-4e1",
        "a\tb\n1\t2.5\n\n3\t-4e1\n",
        'sep=;\n"a"; "b"\n1; 2.5\n3;-4e1\n',
    ],
)
def test_dialects_of_csv(read, text: str) -> None:
    table, bad = read(text)
    np.testing.assert_array_equal(table.values, [[1, 2.5], [3, -40]])
    assert (list(table.names), bad, table.times) == (["a", "b"], [], None)
    assert table.words == "table: 2 rows of 2 channels (a, b); no time column"


def test_a_table_without_a_header_has_numbers_for_names(read) -> None:
    table, _ = read("1,2\n3,4\n")
    assert list(table.names) == ["1", "2"]
    assert table.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("name", ["time", "Date", "TIMESTAMP"])
def test_a_first_column_called_time_is_the_time(read, name: str) -> None:
    table, bad = read(f"{name},x\n1,5\n2,6\n4,7\n")
    assert (list(table.names), bad, table.times) == (["x"], [], [1.0, 2.0, 4.0])
    assert f"the column {name} is the time, from 1.0 to 4.0, usual step 1.5" in table.words


def test_iso_dates_are_the_time_in_any_column(read) -> None:
    table, bad = read("x,when\n1,2024-01-01\n2,2024-01-02T00:00\n3,2024-01-09\n4,2024-01-10\n")
    assert (list(table.names), bad) == (["x"], [])
    assert table.times is not None
    assert table.times[0] == datetime(2024, 1, 1)
    assert "usual step 1 day, 0:00:00, largest step 7 days, 0:00:00: rows may be missing there" in table.words


def test_every_bad_row_is_reported_with_all_its_faults(read) -> None:
    table, bad = read('time,a,b\n1,1,2\n2,x,\n3,4\n4,nan,"1,5"\n4.5,7,inf\n4.5,7,8\n4.5,7,8\n5,"9\n6,1,1\n')
    assert [row.row for row in bad] == [3, 4, 5, 6, 8, 9]
    reasons = [row.reason for row in bad]
    empty = "column 3 (b): the cell is empty; fill the gap, or remove the row"
    assert reasons[0] == f"column 2 (a): found 'x', expected a number; {empty}"
    assert reasons[1] == "found 2 cells, expected 3, as in the first line"
    comma = "column 3 (b): found '1,5', expected a number; write a point for the decimal comma"
    assert reasons[2] == f"column 2 (a): found nan, expected a finite number; {comma}"
    assert reasons[3] == "column 3 (b): found inf, expected a finite number"
    assert reasons[4] == "time 4.5 does not come after 4.5; sort the rows, remove repeated ones, or rename the column"
    assert reasons[5].startswith("broken CSV")
    assert table.places.tolist() == [0, 5, 8]
    assert table.values.tolist() == [[1, 2], [7, 8], [1, 1]]


def test_dates_of_two_kinds_and_broken_ones_are_bad_rows(read) -> None:
    _, bad = read("d,a\n2024-01-01,1\n2024-01-02T00:00+00:00,2\nsoon,3\n")
    assert "with and without a time zone" in bad[0].reason
    assert bad[1].reason == "column 1 (d): found 'soon', expected an ISO date such as 2024-03-31 or 2024-03-31T12:30"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "found no rows"), ("a,b\n", "found no rows"), ("time\n1\n", "found no column of numbers beside the time")],
)
def test_tables_of_nothing_are_refused(read, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("time,a,state\n1,2,ok\n2,3,ok\n", ["column 3 (state): found 'ok', expected a number"]),
        (
            "Datum;a\n31.03.2024;1,5\n01.04.2024;1,6\n",
            [
                "column 1 (Datum): found '31.03.2024', expected a number",
                "column 2 (a): found '1,5', expected a number; write a point for the decimal comma",
            ],
        ),
        ("a,b,\n1,2,\n3,4,\n", ["column 3: all cells are empty"]),
        (
            "date,a\n03/31/2024,1\n04/01/2024,2\n",
            ["column 1 (date): found '03/31/2024', expected an ISO date such as 2024-03-31 or 2024-03-31T12:30"],
        ),
    ],
)
def test_columns_that_spoil_every_row_are_named_once(read, text: str, faults: list[str]) -> None:
    with pytest.raises(DataError, match=r"t\.csv: no row can be used") as caught:
        read(text)
    lines = str(caught.value).splitlines()
    assert lines[1:-1] == [f"  {fault}" for fault in faults]
    assert lines[-1].startswith("Remove columns of text")
    assert not caught.value.rows


def test_a_table_without_a_usable_row_is_an_error_also_when_no_column_is_to_blame(read) -> None:
    with pytest.raises(
        DataError, match=r"none of the 2 rows can be used. The first, line 2: column 1 \(a\): found 'x'"
    ):
        read("a,b\nx,1\n2,y\n")
