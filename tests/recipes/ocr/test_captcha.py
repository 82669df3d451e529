"""Real images that training never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.training.engine import train


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_captchas_that_training_never_saw_are_read(shared_data: Path, tmp_path: Path, seed: int) -> None:
    result = train(OcrTask(Settings(data=str(shared_data / "captcha"), seed=seed)), tmp_path / "run")
    assert result["test"]["items"] == 94
    assert round(94 * result["test"]["exact"]) >= 90
