"""The contract's table, row by row: what is not an error has a value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seqloss import errors, reference
from seqloss.contract import SMALLEST

from . import problems
from .frontend import Frontend
from .test_agreement import assert_agrees

INF = np.inf
LOGITS = 2 * np.random.default_rng(0).normal(size=(2, 6, 4))
EMPTY = np.zeros((2, 0), np.int64)


def log_probs(frontend: Frontend, logits: np.ndarray) -> np.ndarray:
    x = frontend.rounded(logits)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("blank", [0, 2, -1])
def test_an_empty_target_costs_minus_the_sum_of_log_p_blank(frontend: Frontend, blank: int) -> None:
    loss, grad = frontend.loss_and_grad(LOGITS, EMPTY, blank=blank)
    expected = log_probs(frontend, LOGITS)
    np.testing.assert_allclose(loss, -expected[..., blank].sum(axis=1), rtol=1e-6)
    slope = np.exp(expected) - np.eye(4)[blank]
    np.testing.assert_allclose(grad, slope, atol=2e-6 if not frontend.half else 4e-3)


def test_a_target_whose_length_is_0_is_an_empty_target(frontend: Frontend) -> None:
    loss = frontend.loss(LOGITS, np.array([[1, 2], [3, 1]]), None, np.array([0, 0]))
    assert (loss == frontend.loss(LOGITS, EMPTY)).all()


def test_no_frames_and_no_labels_cost_0(frontend: Frontend) -> None:
    loss, grad = frontend.loss_and_grad(LOGITS, EMPTY, np.array([0, 6]))
    assert loss[0] == 0.0
    assert not grad[0].any()
    loss, grad = frontend.loss_and_grad(np.zeros((2, 0, 3)), EMPTY)
    assert loss.tolist() == [0.0, 0.0]
    assert grad.shape == (2, 0, 3)


@pytest.mark.parametrize(("frames", "target"), [(0, [1]), (2, [1, 2, 3]), (6, [1, 1, 1, 1]), (3, [2, 2, 1])], ids=str)
def test_a_target_longer_than_its_frames_is_infeasible(frontend: Frontend, frames: int, target: list[int]) -> None:
    loss, grad = frontend.loss_and_grad(LOGITS[:1], np.array([target]), np.array([frames]))
    assert loss.tolist() == [INF]
    assert not grad.any()


@pytest.mark.parametrize(("frames", "target"), [(1, [1]), (3, [1, 2, 3]), (7, [1, 1, 1, 1]), (4, [2, 2, 1])], ids=str)
def test_one_frame_more_makes_it_feasible(frontend: Frontend, frames: int, target: list[int]) -> None:
    loss, grad = frontend.loss_and_grad(np.zeros((1, frames, 4)), np.array([target]))
    assert loss[0] == pytest.approx(frames * math.log(4), rel=1e-6)  # one path alone
    assert grad.any()


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_of_minus_inf_that_close_every_path_are_infeasible(frontend: Frontend, normalize: bool) -> None:
    logits = problems.log_probabilities(LOGITS)
    logits[0, :, 1] = -INF
    loss, grad = frontend.loss_and_grad(logits, np.array([[2, 1], [2, 1]]), normalize=normalize)
    assert loss[0] == INF
    assert np.isfinite(loss[1])
    assert not grad[0].any()
    assert grad[1].any()


UPSTREAM = [INF, -INF, np.nan, 0.0, -3.0]


@pytest.mark.parametrize("upstream", UPSTREAM)
@pytest.mark.parametrize(("infeasible", "value"), [("inf", INF), ("zero", 0.0)])
def test_an_infeasible_row_has_no_gradient_whatever_comes_from_upstream(
    frontend: Frontend, infeasible: str, value: float, upstream: float
) -> None:
    targets = np.array([[1, 1, 1, 1], [1, 2, 3, 1]])
    loss, grad = frontend.loss_and_grad(LOGITS, targets, upstream=[upstream, 1.0], infeasible=infeasible)
    assert loss[0] == value
    assert (grad[0] == 0).all()
    alone, alone_grad = frontend.loss_and_grad(LOGITS[1:], targets[1:])
    assert loss[1] == alone[0]
    assert (grad[1] == alone_grad[0]).all()


@pytest.mark.parametrize("upstream", UPSTREAM)
def test_padding_has_no_gradient_whatever_comes_from_upstream(frontend: Frontend, upstream: float) -> None:
    _, grad = frontend.loss_and_grad(LOGITS, np.array([[1], [2]]), np.array([4, 6]), upstream=[upstream, upstream])
    assert (grad[0, 4:] == 0).all()
    assert np.isfinite(grad[:, :4]).all() == np.isfinite(upstream)


@pytest.mark.parametrize("row", [0, 1])
def test_infeasible_raise_names_the_row_and_its_numbers(frontend: Frontend, row: int) -> None:
    targets = np.array([[1, 2, 3, 1], [1, 2, 3, 1]])
    targets[row] = 1
    with pytest.raises(errors.InfeasibleError, match=rf"row {row}: .*4 labels with 3 adjacent repeats need 7 frames"):
        frontend.loss(LOGITS, targets, infeasible="raise")


def test_infeasible_raise_distinguishes_masked_paths_from_too_few_frames(frontend: Frontend) -> None:
    logits = LOGITS.copy()
    logits[1, :, 2] = -INF
    frontend.refuses_scores(
        lambda: frontend.loss(logits, np.array([[2], [2]]), infeasible="raise"),
        errors.InfeasibleError, r"row 1: .*every path meets a score of -inf \(6 frames, 1 lab",
    )  # fmt: skip


def test_infeasible_raise_passes_what_fits(frontend: Frontend) -> None:
    targets = np.array([[1, 2], [3, 3]])
    assert (frontend.loss(LOGITS, targets, infeasible="raise") == frontend.loss(LOGITS, targets)).all()


def test_scores_of_minus_inf_beside_another_path_leave_loss_and_gradient_exact(precise_frontend: Frontend) -> None:
    logits = np.random.default_rng(3).normal(size=(1, 9, 5))
    logits[0, :, 4] = -INF
    logits[0, [0, 3, 5], [1, 0, 2]] = -INF
    problem = problems.Problem(logits, np.array([[1, 2, 2]]), np.array([9]), np.array([3]))
    assert_agrees(precise_frontend, problem)
    _, grad = precise_frontend.loss_and_grad(*(logits, *problem.args))
    assert np.isfinite(grad).all()
    assert (grad[np.isneginf(logits)] == 0).all()


def test_a_class_masked_with_minus_ten_thousand_costs_that_much(precise_frontend: Frontend) -> None:
    logits = np.zeros((1, 6, 3))
    logits[..., 1] = -1e4
    expected, _ = reference.ctc_loss_and_grad(logits, [[1, 2, 1]])
    assert expected[0] > 2e4
    np.testing.assert_allclose(precise_frontend.loss(logits, np.array([[1, 2, 1]])), expected, rtol=1e-7)


@pytest.mark.parametrize("mask", [-1e9, -1.01e8, float(np.finfo(np.float32).min), -1e30])
def test_a_score_over_1e8_below_its_frame_counts_as_minus_inf(precise_frontend: Frontend, mask: float) -> None:
    masked, closed = LOGITS.copy(), LOGITS.copy()
    masked[:, [1, 4], [3, 0]] = mask
    closed[:, [1, 4], [3, 0]] = -INF
    for targets in (np.array([[1, 2], [3, 3]]), np.array([[3, 3, 3], [1, 1, 1]])):
        found, expected = (precise_frontend.loss_and_grad(x, targets) for x in (masked, closed))
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    masked[0, :, 1] = mask
    assert precise_frontend.loss(masked, np.array([[1], [2]]))[0] == INF


def test_a_score_just_under_1e8_below_its_frame_still_counts(precise_frontend: Frontend) -> None:
    logits = np.zeros((1, 2, 2))
    logits[..., 1] = -9.9e7
    assert precise_frontend.loss(logits, np.array([[1]]))[0] == pytest.approx(9.9e7, rel=1e-7)


@pytest.mark.parametrize("mask", [-1e4, -65504.0])
def test_the_lowest_float16_as_a_mask_is_a_score_like_any_other(half_frontend: Frontend, mask: float) -> None:
    logits = np.where(np.arange(4) == 2, mask, LOGITS)
    problem = problems.Problem(logits, np.array([[1, 3], [1, 1]]), np.array([6, 5]), np.array([2, 2]))
    assert_agrees(half_frontend, problem)


def test_a_batch_of_0_a_time_axis_of_0_and_one_class_work(frontend: Frontend) -> None:
    loss, grad = frontend.loss_and_grad(np.zeros((0, 6, 4)), np.zeros((0, 2), np.int64))
    assert (loss.shape, grad.shape) == ((0,), (0, 6, 4))
    loss, grad = frontend.loss_and_grad(np.zeros((2, 0, 4)), np.array([[1], [2]]), None, np.array([0, 1]))
    assert loss.tolist() == [0.0, INF]
    loss, grad = frontend.loss_and_grad(LOGITS[..., :1], EMPTY)
    assert loss.tolist() == [0.0, 0.0]
    assert not grad.any()


@pytest.mark.parametrize("margin", [5.0, 20.0, 50.0, 1000.0])
def test_a_normalised_loss_is_never_below_0(frontend: Frontend, margin: float) -> None:
    rng = np.random.default_rng(5)
    path = rng.integers(0, 3, (40, 20))
    path[:, 1::2] = 0  # one blank between labels, so that any path is a target's best
    targets, lengths = np.zeros((40, 20), np.int64), np.zeros(40, np.int64)
    for n, row in enumerate(path):
        labels = row[row > 0]
        targets[n, : len(labels)], lengths[n] = labels, len(labels)
    logits = margin * np.eye(3)[path] + 0.01 * rng.normal(size=(40, 20, 3))
    loss = frontend.loss(logits, targets, None, lengths)
    assert (loss >= 0).all()
    assert not np.signbit(loss).any()


def test_entries_under_the_smallest_normal_float32_are_exactly_0(precise_frontend: Frontend) -> None:
    logits = np.zeros((1, 4, 40))
    logits[0, :, 1:] = -np.linspace(80.0, 95.0, 39)
    loss, grad = precise_frontend.loss_and_grad(logits, EMPTY[:1])
    entries = np.abs(grad[grad != 0])
    assert (entries >= SMALLEST).all()
    assert entries.min() < 4 * SMALLEST
    assert (grad == 0).any()
    logits[0, :, 1:] -= 100.0
    loss, grad = precise_frontend.loss_and_grad(logits, EMPTY[:1])
    assert loss[0] == 0
    assert not grad.any()


def test_log_probabilities_give_the_same_loss_and_gradient(precise_frontend: Frontend) -> None:
    targets, close = np.array([[1, 2, 2], [3, 1, 0]]), 1e-6 if precise_frontend.dtype == "float32" else 1e-14
    lengths = np.array([3, 2])
    scores = precise_frontend.loss_and_grad(LOGITS, targets, None, lengths)
    probs = precise_frontend.loss_and_grad(log_probs(precise_frontend, LOGITS), targets, None, lengths)
    np.testing.assert_allclose(scores[0], probs[0], rtol=close)
    np.testing.assert_allclose(scores[1], probs[1], atol=close)


def test_without_normalize_the_gradient_is_minus_the_posterior(precise_frontend: Frontend) -> None:
    logits, targets = problems.log_probabilities(LOGITS), np.array([[1, 2, 2], [3, 1, 3]])
    expected, _ = reference.ctc_loss_and_grad(logits, targets, normalize=False)
    loss, grad = precise_frontend.loss_and_grad(logits, targets, normalize=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(grad, -reference.ctc_posteriors(logits, targets, normalize=False), atol=1e-6)
    np.testing.assert_allclose(grad.sum(axis=2), -1.0, rtol=1e-6)


@pytest.mark.parametrize("unread", [-INF, np.nan, -50.0])
def test_without_normalize_other_classes_are_never_read(frontend: Frontend, unread: float) -> None:
    logits = problems.log_probabilities(LOGITS)
    changed = logits.copy()
    changed[..., 3] = unread
    targets = np.array([[1, 2, 2], [2, 1, 2]])
    for before, after in zip(
        frontend.loss_and_grad(logits, targets, normalize=False),
        frontend.loss_and_grad(changed, targets, normalize=False),
        strict=True,
    ):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("integer", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_targets_and_lengths_of_any_integer_type_give_the_same_bits(float32_frontend: Frontend, integer: str) -> None:
    targets, frames, labels = np.array([[1, 2, 3], [3, 3, 0]]), np.array([6, 5]), np.array([3, 2])
    expected = float32_frontend.loss_and_grad(LOGITS, targets, frames, labels)
    found = float32_frontend.loss_and_grad(LOGITS, *(array.astype(integer) for array in (targets, frames, labels)))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("integer", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_concatenated_targets_mean_the_same_as_padded_ones(concatenating_frontend: Frontend, integer: str) -> None:
    logits = np.concatenate([LOGITS, LOGITS[:1] - 1])
    targets, lengths = np.array([[1, 2, 3], [2, -1, -1], [-1, -1, -1]]), np.array([3, 1, 0])
    padded = concatenating_frontend.loss_and_grad(logits, targets, None, lengths)
    joined = concatenating_frontend.loss_and_grad(
        logits, *(None if given is None else given.astype(integer) for given in (np.array([1, 2, 3, 2]), None, lengths))
    )
    np.testing.assert_array_equal(joined[0], padded[0])
    np.testing.assert_array_equal(joined[1], padded[1])


def test_lists_give_the_same_result_as_arrays(frontend: Frontend) -> None:
    lists = frontend.loss(LOGITS, [[1, 2], [3, 0]], [6, 5], [2, 1])
    assert (lists == frontend.loss(LOGITS, np.array([[1, 2], [3, 0]]), np.array([6, 5]), np.array([2, 1]))).all()


def test_a_negative_blank_counts_from_the_end(frontend: Frontend) -> None:
    targets = np.array([[1, 0], [2, 2]])
    for blank in (-1, 3):
        logits = LOGITS[..., [1, 2, 3, 0]]  # the blank's scores moved to the end
        np.testing.assert_allclose(
            frontend.loss(logits, targets, blank=blank), frontend.loss(LOGITS, targets + 1, blank=0), rtol=1e-6
        )


def test_without_normalize_a_frame_whose_read_classes_are_all_masked_is_infeasible(frontend: Frontend) -> None:
    log_probs = np.full((1, 3, 4), -1e9)
    log_probs[..., 3] = 0.0
    loss, gradient = frontend.loss_and_grad(log_probs, [[1]], normalize=False)
    assert loss.tolist() == [np.inf]
    assert not gradient.any()
