"""NaN and infinities poison their own row alone, and what lies past a row's lengths is never read."""

from __future__ import annotations

import numpy as np
import pytest

from .frontend import Frontend

NAN, INF = np.nan, np.inf
LOGITS = 2 * np.random.default_rng(1).normal(size=(3, 7, 5))
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0]]), np.array([7, 5, 3]), np.array([3, 2, 1])


@pytest.mark.parametrize("frame", [0, 4])
@pytest.mark.parametrize("score", [NAN, INF, -NAN])
def test_nan_or_inf_in_a_frame_in_use_poisons_its_row_alone(frontend: Frontend, score: float, frame: int) -> None:
    clean = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    for entry in range(5):
        logits = LOGITS.copy()
        logits[1, frame, entry] = score
        loss, grad = frontend.loss_and_grad(logits, TARGETS, FRAMES, LABELS)
        assert np.isnan(loss[1])
        assert np.isnan(grad[1, :5]).all()
        assert (grad[1, 5:] == 0).all()
        assert (loss[[0, 2]] == clean[0][[0, 2]]).all()
        assert (grad[[0, 2]] == clean[1][[0, 2]]).all()


@pytest.mark.parametrize("score", [NAN, INF])
@pytest.mark.parametrize("entry", [0, 3, 4])
def test_nan_or_inf_for_blank_or_a_label_poisons_its_row_alone_without_the_softmax(
    frontend: Frontend, entry: int, score: float
) -> None:
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=2, keepdims=True))
    log_probs[1, 2, entry] = score
    loss, grad = frontend.loss_and_grad(log_probs, TARGETS, FRAMES, LABELS, normalize=False, validate=False)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(grad).any(axis=(1, 2)).tolist() == [False, True, False]


def test_a_frame_of_only_minus_inf_makes_only_its_row_nan(frontend: Frontend) -> None:
    logits = LOGITS.copy()
    logits[0, 2] = -INF
    loss, grad = frontend.loss_and_grad(logits, TARGETS, FRAMES, LABELS)
    assert np.isnan(loss).tolist() == [True, False, False]
    assert np.isnan(grad).all(axis=(1, 2)).tolist() == [True, False, False]
    assert np.isfinite(grad[1:]).all()


@pytest.mark.parametrize("infeasible", ["inf", "zero", "raise"])
def test_a_non_finite_row_is_nan_for_every_infeasible_option(frontend: Frontend, infeasible: str) -> None:
    logits = LOGITS.copy()
    logits[0, 2, 3] = NAN
    assert np.isnan(frontend.loss(logits, TARGETS, FRAMES, LABELS, infeasible=infeasible)[0])


def test_nan_beats_too_few_frames(frontend: Frontend) -> None:
    logits = LOGITS.copy()
    logits[0, 1, 0] = NAN
    assert np.isnan(frontend.loss(logits, TARGETS, np.array([2, 5, 3]), LABELS)[0])


@pytest.mark.parametrize("position", [0, 15, 16, 37, 69])
def test_one_nan_among_many_classes_is_found(frontend: Frontend, position: int) -> None:
    logits = np.zeros((1, 3, 70))
    logits[0, 1, position] = NAN
    assert np.isnan(frontend.loss(logits, np.array([[1]])))
    logits[0, 1, position] = INF
    assert np.isnan(frontend.loss(logits, np.array([[1]])))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("garbage", [NAN, INF, -INF, 60000.0])
def test_scores_past_a_length_are_never_read_and_have_no_gradient(
    frontend: Frontend, garbage: float, normalize: bool
) -> None:
    logits = LOGITS - 20.0 * (not normalize)
    clean = frontend.loss_and_grad(logits, TARGETS, FRAMES, LABELS, normalize=normalize)
    past = np.arange(7) >= FRAMES[:, None]
    dirty = np.where(past[:, :, None], garbage, logits)
    loss, grad = frontend.loss_and_grad(dirty, TARGETS, FRAMES, LABELS, normalize=normalize)
    assert (loss == clean[0]).all()
    assert (grad == clean[1]).all()
    assert (grad[past] == 0).all()


@pytest.mark.parametrize("garbage", [-1, -100, 5, 2**62])
def test_labels_past_a_length_are_never_read(frontend: Frontend, garbage: int) -> None:
    clean = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    dirty = np.where(np.arange(3) >= LABELS[:, None], garbage, TARGETS)
    loss, grad = frontend.loss_and_grad(LOGITS, dirty, FRAMES, LABELS)
    assert (loss == clean[0]).all()
    assert (grad == clean[1]).all()


@pytest.mark.parametrize("broken", [(0, -1), (0, 2**40), (1, -3), (1, 4)], ids=str)
def test_without_validate_a_broken_row_is_nan_and_not_infeasible(frontend: Frontend, broken: tuple[int, int]) -> None:
    lengths = [FRAMES.copy(), LABELS.copy()]
    lengths[broken[0]][1] = broken[1]
    loss = frontend.loss(LOGITS, TARGETS, *lengths, infeasible="raise", validate=False)
    assert np.isnan(loss).tolist() == [False, True, False]


def test_without_validate_too_few_frames_for_labels_that_are_none_is_nan(frontend: Frontend) -> None:
    targets = TARGETS.copy()
    targets[1, 0] = 99
    loss = frontend.loss(LOGITS, targets, [7, 1, 3], LABELS, infeasible="raise", validate=False)
    assert np.isnan(loss).tolist() == [False, True, False]


@pytest.mark.parametrize("label", [-1, -100, 5, 0, 2**32 + 1, -(2**32) + 1])
def test_without_validate_a_bad_label_gives_nan_for_its_row_alone(frontend: Frontend, label: int) -> None:
    clean = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    targets = TARGETS.copy()
    targets[1, 1] = label
    loss, grad = frontend.loss_and_grad(LOGITS, targets, FRAMES, LABELS, validate=False)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(grad[1, :5]).all()
    assert (loss[[0, 2]] == clean[0][[0, 2]]).all()
    assert (grad[[0, 2]] == clean[1][[0, 2]]).all()


@pytest.mark.parametrize(("argument", "length"), [(0, 8), (0, -1), (1, 4), (1, -3), (0, 2**40), (1, 2**40)])
def test_without_validate_a_bad_length_gives_nan_for_its_row_alone(
    frontend: Frontend, argument: int, length: int
) -> None:
    clean = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    lengths = [FRAMES.copy(), LABELS.copy()]
    lengths[argument][1] = length
    loss, grad = frontend.loss_and_grad(LOGITS, TARGETS, *lengths, validate=False)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert (loss[[0, 2]] == clean[0][[0, 2]]).all()
    assert (grad[[0, 2]] == clean[1][[0, 2]]).all()


def test_without_validate_good_rows_have_the_same_bits(frontend: Frontend) -> None:
    checked = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    unchecked = frontend.loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS, validate=False)
    assert (checked[0] == unchecked[0]).all()
    assert (checked[1] == unchecked[1]).all()


def test_without_validate_probabilities_above_1_in_sum_are_used_unchanged(precise_frontend: Frontend) -> None:
    loss = precise_frontend.loss(np.zeros((1, 3, 2)), np.array([[1]]), normalize=False, validate=False)
    assert loss[0] == pytest.approx(-np.log(6.0), rel=1e-6)  # six paths of weight 1: below 0, as asked for
