"""Images that --rotate turns: in training, checks, transcription, report and export alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqloss.recipes import load_task
from seqloss.report import write_report
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run


def turn_images(data: Path, folder: Path, turn: Image.Transpose) -> Path:
    """A copy of the data with turned images."""
    shutil.copytree(data, folder)
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            image.transpose(turn).save(file)
    return folder


@pytest.fixture(scope="module")
def upright_and_turned(tmp_path_factory: pytest.TempPathFactory, trained, train) -> list[tuple[Path, Path]]:
    """(data, run) of a training, and of the same with images that lie on their side."""
    home = tmp_path_factory.mktemp("turned")
    turned = turn_images(trained[0], home / "data", Image.Transpose.ROTATE_90)
    train(turned, home / "run", rotate=90)
    return [trained[:2], (turned, home / "run")]


def predictor(folder: Path) -> Predictor:
    return Predictor(load_task(folder), Run(folder))


def test_turned_images_train_to_the_same_weights(upright_and_turned) -> None:
    one, other = (Run(run).best_weights() for _, run in upright_and_turned)
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert len({(run / "result.json").read_text() for _, run in upright_and_turned}) == 1


def test_a_turned_image_is_transcribed_as_the_upright_one(upright_and_turned) -> None:
    one, other = (predictor(run).predict(data / "1.png") for data, run in upright_and_turned)
    assert (one.text, one.score, one.characters) == (other.text, other.score, other.characters)


def test_turned_images_are_exported_as_upright_ones(upright_and_turned, tmp_path) -> None:
    found = []
    for number, (_, run) in enumerate(upright_and_turned):
        file = tmp_path / f"{number}.npz"
        load_task(run).export(predictor(run).network, file, 2)
        found.append(np.load(file)["logits"])
    np.testing.assert_array_equal(*found)


def test_the_report_shows_turned_images_upright(upright_and_turned, tmp_path) -> None:
    found = []
    for number, (_, run) in enumerate(upright_and_turned):
        page = write_report(load_task(run), Run(run), tmp_path / f"{number}.html").read_text()
        found.append(page.count('class="card'))
        assert "No predictions" not in page
        assert "have changed" not in page
    assert found[0] == found[1] > 0


def test_tall_images_are_noted_with_the_option_that_turns_them(upright_and_turned, task_for, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Image.linear_gradient("L").resize((16, 400)).save(data / "a.png")
    (data / "manifest.csv").write_text("path,text\na.png,abc\n")
    hint = "if the text runs upwards or downwards, turn the images with --rotate 90 or --rotate 270"
    lines: list[str] = []
    task_for(data, height=512).load_data(print_line=lines.append)
    assert lines[1:] == [f"images: 1 of 1 is more than twice as high as wide (such as a.png, 'abc'); {hint}"]
    lines.clear()
    task_for(data, rotate=90).load_data(print_line=lines.append)
    assert len(lines) == 1
