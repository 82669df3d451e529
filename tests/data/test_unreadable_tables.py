"""A file of texts that cannot be read: the advice fits the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.tables import read_text
from seqloss.errors import DataError


def test_missing_file_and_folder_are_no_matter_of_permissions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\); check its name\."):
        read_text(tmp_path / "missing.txt")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\); give a file in it\."):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\x14\x00\x88", "a workbook or an archive .*; export its sheet as CSV"),
        (b"\x1f\x8b\x08\x00", "a gzip file, expected text in UTF-8; unpack it"),
        ("Größe".encode("latin-1"), r"not UTF-8 \(byte 0xF6 in line 1\); save it again as UTF-8"),
    ],
)
def test_a_workbook_or_an_archive_is_not_to_be_saved_as_utf8(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "table.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "table.xlsx")
