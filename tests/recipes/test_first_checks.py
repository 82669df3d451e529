"""What is looked at before a training is believed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seqloss import reference
from seqloss.errors import DataError, OptionError
from seqloss.recipes import first_checks, ocr
from seqloss.recipes.first_checks import (
    mean_uniform_loss,
    tell_blanked,
    tell_feasible,
    tell_first_loss,
    tell_overfit,
    tell_vocabulary,
    uniform_loss,
)


@pytest.mark.parametrize(
    ("frames", "labels", "classes"),
    [
        (5, [1, 2], 4),
        (5, [1, 1], 4),
        (7, [2, 2, 2], 3),
        (3, [], 5),
        (40, [1, 2, 2, 3, 3, 3], 9),
        (0, [], 2),
        (2, [1, 2], 3),
    ],
)
def test_the_uniform_loss_is_that_of_equal_scores(frames: int, labels: list[int], classes: int) -> None:
    loss, _ = reference.ctc_loss_and_grad(np.zeros((1, frames, classes)), np.array([labels], np.int64).reshape(1, -1))
    assert uniform_loss(frames, labels, classes) == pytest.approx(float(loss[0]), abs=1e-9)


def test_where_no_path_fits_the_uniform_loss_is_infinite_and_left_out_of_means() -> None:
    assert uniform_loss(2, [1, 1], 3) == math.inf
    assert mean_uniform_loss([2, 5], ["aa", "ab"], 4) == pytest.approx(uniform_loss(5, "ab", 4) / 2)


def test_a_head_of_another_size_is_told() -> None:
    assert "MUST BE EQUAL" not in tell_vocabulary(26, 27)
    assert "MUST BE EQUAL" in tell_vocabulary(26, 26)


def test_a_first_loss_far_from_uniform_is_told() -> None:
    assert "FAR" not in tell_first_loss(7.0, 7.5)
    assert "FAR FROM IT" in tell_first_loss(70.0, 7.5)


def test_a_network_that_does_not_look_is_told() -> None:
    assert tell_blanked(0.5, 4.0).endswith("reads its pictures")
    assert tell_blanked(3.4, 5.1).endswith("begin to matter")
    assert "DOES NOT LOOK" in tell_blanked(3.0, 3.1)


def test_texts_that_do_not_fit_are_counted_at_each_subsampling() -> None:
    rows = [(40, 10), (40, 11), (40, 41)]
    assert tell_feasible(rows, 4) == (
        "2 of 3 texts need more frames than there are at 4 pixels a frame: at 3, 1 do not fit; at 2, 1; at 1, 1"
    )
    assert tell_feasible(rows[:1], 4) == "all 1 texts fit their frames, 4 pixels each; the tightest uses 100% of them"


def test_what_is_learnt_without_looking_is_told() -> None:
    assert tell_overfit(8, 20, 0.04, 3.0).startswith("PASS: 8 items learnt by heart in 20 steps")
    assert "TOO GOOD" in tell_overfit(8, 20, 0.04, 0.04)
    assert tell_overfit(8, 600, 2.0, 2.0).startswith("FAIL: 8 items not learnt in 600 steps")


def test_a_network_that_is_wired_right_learns_a_few_pictures_by_heart(data: Path, settings_for) -> None:
    lines: list[str] = []
    assert ocr.overfit(settings_for(data), 8, say=lines.append)
    assert lines[0].startswith("PASS: 8 items")


def test_a_network_whose_first_layers_are_cut_off_from_its_pictures_does_not(
    data: Path, settings_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = ocr.Network.forward
    monkeypatch.setattr(ocr.Network, "forward", lambda self, x, widths: forward(self, torch.zeros_like(x), widths))
    monkeypatch.setattr(first_checks, "MOST_STEPS", 40)
    lines: list[str] = []
    assert not ocr.overfit(settings_for(data), 8, say=lines.append)
    assert lines[0].startswith("FAIL: 8 items not learnt in 40 steps")


def test_it_is_tried_with_the_learning_rate_and_in_the_precision_that_are_asked_for(
    data: Path, settings_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_checks, "MOST_STEPS", 40)
    lines: list[str] = []
    assert not ocr.overfit(settings_for(data, lr=1e-9), 8, say=lines.append)
    with pytest.raises(OptionError, match="--accelerator, --devices or --precision"):
        ocr.overfit(settings_for(data), 8, trainer={"precision": "17-odd"}, say=lines.append)


def test_the_baseline_without_pictures_is_of_all_held_out_pictures(data: Path, settings_for) -> None:
    """Whatever the widths of the first ones: here a loss for each picture, in batches of one."""
    settings = settings_for(data, batch=1)
    sources, vocabulary, *_ = ocr.load_sources(settings, False, None, None)
    module = ocr.Reader(settings, vocabulary, 1).eval()
    found = []
    for index in range(len(sources["validation"])):
        batch = ocr.BatchReader(sources["validation"], vocabulary)[[(0, index)]]
        module.validation_step(batch, index)
        logits, frames = module.network(torch.zeros_like(batch.pictures), batch.widths)
        found.append((float(module.loss(batch, logits, frames).detach()), len(batch.texts[0])))
    expected = sum(loss * count for loss, count in found) / sum(count for _, count in found)
    assert float(module.blanked.compute()) == pytest.approx(expected)


def test_no_more_than_there_are_can_be_learnt(data: Path, settings_for) -> None:
    with pytest.raises(OptionError, match="--overfit: found 99, expected 1 to 9 pictures"):
        ocr.overfit(settings_for(data), 99)


def test_a_training_tells_its_first_checks(trained) -> None:
    _, _, lines = trained
    told = "\n".join(lines)
    assert "vocabulary: 3 characters and the blank make 4 classes; the network's head has 4" in told
    assert "all 9 texts fit their frames" in told
    assert "loss before training: " in told
    assert "with the pictures blanked out" in told


def test_a_held_out_character_that_training_never_saw_is_a_mistake_and_no_bad_row(with_rows, train, tmp_path) -> None:
    data = with_rows("12.png,xß,test\n")
    Image.new("L", (40, 16), 255).save(data / "12.png")
    lines: list[str] = []
    result = train(data, tmp_path / "run", epochs=1, say=lines.append)
    assert "    1 of 2 test texts hold characters that training never sees (x ß): each counts as a mistake" in lines
    assert result["test"]["items"] == 2
    assert result["test"]["exact"] <= 1


def test_texts_that_do_not_fit_are_told_with_the_subsampling_at_which_they_would(with_rows, train, tmp_path) -> None:
    data = with_rows("0.png,ababababababab,train\n".replace("0.png", "long.png"))
    Image.new("L", (40, 16), 255).save(data / "long.png")
    words = "1 of 13 texts need more frames than there are at 4 pixels a frame: at 3, 0 do not fit; at 2, 0; at 1, 0"
    with pytest.raises(DataError) as refused:
        train(data, tmp_path / "run")
    assert str(refused.value).endswith(words)
    lines: list[str] = []
    train(data, tmp_path / "run", skip_bad=True, epochs=1, say=lines.append)
    assert f"    {words}" in lines
