"""Checks before and at the start of a training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqloss import reference
from seqloss.doctor.sanity_checks import (
    describe_classes,
    describe_feasibility,
    describe_first_loss,
    describe_input_ablation,
    describe_overfit,
    describe_scores,
    mean_uniform_ctc_loss,
    uniform_ctc_loss,
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
    assert uniform_ctc_loss(frames, labels, classes) == pytest.approx(float(loss[0]), abs=1e-9)


def test_where_no_path_fits_the_uniform_ctc_loss_is_infinite_and_left_out_of_means() -> None:
    assert uniform_ctc_loss(2, [1, 1], 3) == math.inf
    assert mean_uniform_ctc_loss([2, 5], ["aa", "ab"], 4) == pytest.approx(uniform_ctc_loss(5, "ab", 4) / 2)


def test_an_output_layer_of_another_size_is_reported() -> None:
    assert "MISMATCH" not in describe_classes(26, 27)
    assert "MISMATCH" in describe_classes(26, 26)


def test_a_first_loss_far_from_the_baseline_is_reported() -> None:
    assert "WARNING" not in describe_first_loss(7.0, 7.5, "nats/char")
    assert "WARNING: far from the baseline" in describe_first_loss(70.0, 7.5, "nats/char")


def test_a_first_loss_without_a_baseline_is_reported_alone() -> None:
    assert describe_first_loss(0.5, None, "nats") == "loss before training: 0.500 nats"


def test_rows_of_probabilities_are_reported() -> None:
    scores = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    assert list(describe_scores(scores, [5, 5, 5])) == []
    assert list(describe_scores(scores.log_softmax(2), [5, 5, 5])) == []
    (line,) = describe_scores(scores.softmax(2), [5, 4, 0])
    assert line == "scores: WARNING: 2 of 3 rows hold probabilities; take their logarithm, or leave out the softmax"
    for kind in (torch.float16, torch.bfloat16):
        assert len(list(describe_scores(scores.softmax(2).to(kind), [5, 5, 5]))) == 1


def test_a_model_that_does_not_use_its_input_is_reported() -> None:
    found = [describe_input_ablation(loss, empty, "nats", "image") for loss, empty in ((0.5, 4), (3.4, 5.1), (3, 3.1))]
    assert found[0].endswith(": the model uses its input")
    assert found[1].endswith(": the model begins to use its input")
    assert found[2].endswith(": WARNING: the model does not use its input yet")


def test_targets_that_do_not_fit_are_counted_at_each_subsampling() -> None:
    rows = [(40, 10), (40, 11), (40, 41)]
    assert describe_feasibility(rows, 4) == (
        "2 of 3 targets need more frames than there are at 4 pixels/frame (at 3: 1, at 2: 1, at 1: 1)"
    )
    assert describe_feasibility(rows[:1], 4) == "1 target fits its frames (4 pixels/frame); max target/frame ratio 1.00"


def describe(count: int, steps: int, loss: float, empty: float | None) -> str:
    return describe_overfit(count, steps, loss, empty, goal=0.05, unit="nats/char", item="image")


def test_items_that_are_learnt_without_their_input_are_reported() -> None:
    assert describe(8, 20, 0.04, 3.0).startswith("PASS: overfit 8 images in 20 steps")
    assert "WARNING: the targets can be predicted without the input" in describe(8, 20, 0.04, 0.04)
    assert describe(8, 600, 2.0, 2.0).startswith("FAIL: could not overfit 8 images in 600 steps")
    assert "empty" not in describe(8, 20, 0.04, None)
