"""examples/keras_ctc.py learns on every backend."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "keras_ctc.py"


def test_the_script_learns_and_decodes_after_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """In percent; an untrained model has 100."""
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert sum(" -> " in line for line in lines) == 3
    found = re.fullmatch(r"letter error rate: (\d+\.\d)%", lines[-1])
    assert found
    assert float(found.group(1)) < 10
