"""Transcripts of new images by a trained run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from seqloss.errors import DataError, RunError
from seqloss.recipes import load_task
from seqloss.recipes.ocr.data import STRIDE
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run


def predictor(folder: Path) -> Predictor:
    return Predictor(load_task(folder), Run(folder))


def test_an_image_is_transcribed_with_frames_and_confidence_for_each_character(data, train, tmp_path) -> None:
    train(data, tmp_path / "run", epochs=30, patience=99)
    read = predictor(tmp_path / "run").predict(data / "1.png")
    assert read.text == "".join(character["character"] for character in read.characters) == "ab"
    places = [frame for character in read.characters for frame in (character["first_frame"], character["last_frame"])]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] < 40 / STRIDE
    assert all(0 < character["confidence"] <= 1 for character in read.characters)


def test_another_vocabulary_is_noticed_when_transcribing(trained, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[1], run)
    text = (run / "vocabulary.json").read_text()
    (run / "vocabulary.json").write_text(text.replace('"a"', '"q"'))
    with pytest.raises(RunError, match="is not the vocabulary that this run was trained with"):
        predictor(run)


def test_a_line_that_is_too_wide_is_not_transcribed(trained, tmp_path) -> None:
    Image.linear_gradient("L").resize((9000, 16)).save(tmp_path / "wide.png")
    with pytest.raises(DataError, match="too wide: 9000 pixels once scaled, at most 8192"):
        predictor(trained[1]).predict(tmp_path / "wide.png")
