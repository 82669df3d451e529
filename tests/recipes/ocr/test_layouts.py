"""A folder in any layout trains with one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...data.layouts.trees import TREES


@pytest.mark.parametrize("tree", TREES)
def test_a_folder_trains_and_says_where_its_texts_are(tree: str, train, tmp_path: Path) -> None:
    TREES[tree](tmp_path / "data")
    lines: list[str] = []
    result = train(tmp_path / "data", tmp_path / "run", epochs=1, print_line=lines.append)
    assert result["epochs"] == 1
    assert lines[0].startswith("texts")
