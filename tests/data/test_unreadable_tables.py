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
