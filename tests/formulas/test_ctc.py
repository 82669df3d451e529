"""The whole-array formula, with NumPy for a framework, is the definition within its budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from seqloss import contract, reference
from seqloss.formulas.ctc.emissions import prepare_targets, read_frames
from seqloss.formulas.ctc.loss import loss_and_grad
from seqloss.formulas.ctc.recursion import main_path
from seqloss.numpy.namespace import NumPyNamespace

from ..contract import problems
from ..contract.problems import Problem, uneven
from ..contract.test_agreement import shares
from ..contract.tolerances import bounds

XP = NumPyNamespace()
PRECISE = pytest.mark.parametrize("kind", [np.float32, np.float64])


def padded(problem: Problem, kind: type) -> tuple[np.ndarray, ...]:
    """One frame and one label more than there are: the formula wants at least one of each."""
    logits = np.pad(problem.logits.astype(kind), ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    targets = np.pad(problem.targets, ((0, 0), (0, 1)), constant_values=-1)
    return logits, *(a.astype(np.int32) for a in (targets, problem.logit_lengths, problem.target_lengths))


def assert_agrees(problem: Problem, kind: type) -> None:
    name = np.dtype(kind).name
    problem = problem.with_logits(problem.logits.astype(kind).astype(np.float64))
    with np.errstate(all="ignore"):
        loss, grad = loss_and_grad(XP, *padded(problem, kind), blank=problem.blank, normalize=problem.normalize)
    assert loss.dtype == grad.dtype == kind
    upstream = uneven(len(loss))
    allowed = bounds(problem, name, upstream, "whole-array")
    assert (shares(loss, allowed.expected_loss, allowed.loss) <= 1).all()
    weighted = (grad[:, :-1] * upstream.astype(kind)[:, None, None]).astype(np.float64)
    weighted[grad[:, :-1] == 0] = 0.0
    assert (shares(weighted, allowed.expected_grad, allowed.grad) <= 1).all()
    assert not grad[:, -1].any()


@PRECISE
@settings(max_examples=150, deadline=None)
@given(problem=problems.drawn())
def test_small_batches_agree(kind: type, problem: Problem) -> None:
    assert_agrees(problem, kind)


@PRECISE
@settings(max_examples=100, deadline=None)
@given(problem=problems.drawn(normalize=False))
def test_small_batches_of_log_probabilities_agree(kind: type, problem: Problem) -> None:
    assert_agrees(problem, kind)


@PRECISE
@pytest.mark.parametrize("name", problems.NAMED)
def test_large_and_hard_batches_agree(kind: type, name: str) -> None:
    problem = problems.NAMED[name]
    problem = Problem(**{**vars(problem), "blank": problem.blank % problem.logits.shape[2]})
    assert_agrees(problem, kind)


@pytest.mark.parametrize("margin", [16.0, 30.0, 60.0])
def test_a_sure_models_loss_keeps_its_digits_in_float32(margin: float) -> None:
    problem = problems.sure(margin)
    logits = problem.logits.astype(np.float32)
    expected, _ = reference.ctc_loss_and_grad(logits.astype(np.float64), *problem.args)
    loss, _ = loss_and_grad(XP, *padded(problem, np.float32), blank=0, normalize=True)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_million_frames_that_each_cost_ten_thousand_nats_do_not_wrap() -> None:
    """A thousand here, a thousand times as dear."""
    logits = np.zeros((1, 1000, 2), np.float32)
    logits[..., 1] = -1e7
    lengths = np.array([1000], np.int32)
    targets = np.ones((1, 1), np.int32)
    loss, grad = loss_and_grad(XP, logits, targets, lengths, np.array([1], np.int32), blank=0, normalize=True)
    assert loss[0] == pytest.approx(1e7, rel=1e-6)  # any one frame of the thousand: log 1000 less is lost beside 1e7
    forced = loss_and_grad(
        XP, logits[..., ::-1].copy(), targets, lengths, np.array([0], np.int32), blank=0, normalize=True
    )
    assert forced[0][0] == pytest.approx(1e10, rel=1e-6)
    assert np.isfinite(grad).all()


def test_a_loss_past_what_an_exponent_holds_is_inf_and_does_not_wrap() -> None:
    logits = np.zeros((1, 1000, 2), np.float32)
    logits[..., 0] = -9.9e7
    lengths = np.array([1000], np.int32)
    loss, grad = loss_and_grad(
        XP, logits, np.ones((1, 1), np.int32), lengths, np.array([0], np.int32), blank=0, normalize=True
    )
    assert loss[0] == np.inf
    assert not grad.any()


@PRECISE
def test_entries_under_the_smallest_normal_float32_are_exactly_0(kind: type) -> None:
    logits = np.zeros((1, 4, 40), kind)
    logits[0, :, 1:] = -np.linspace(80.0, 95.0, 39)
    args = (np.full((1, 1), -1, np.int32), np.array([4], np.int32), np.array([0], np.int32))
    _, grad = loss_and_grad(XP, logits, *args, blank=0, normalize=True)
    entries = np.abs(grad[grad != 0])
    assert (grad == 0).any()
    assert contract.SMALLEST <= entries.min() < 4 * contract.SMALLEST


@PRECISE
@pytest.mark.parametrize(("score", "kept"), [(-87.0, True), (-89.0, False)])
def test_a_posterior_under_the_smallest_normal_float32_is_exactly_0(kind: type, score: float, kept: bool) -> None:
    logits = np.array([[[0.0, 0.0], [0.0, score]]], kind)
    args = (np.array([[1]], np.int32), np.array([2], np.int32), np.array([1], np.int32))
    _, grad = loss_and_grad(XP, logits, *args, blank=0, normalize=False)
    assert (grad[0, 1, 1] != 0) == kept


def test_a_bad_label_or_length_is_nan_in_its_row_alone() -> None:
    logits = np.zeros((5, 4, 3), np.float32)
    targets = np.array([[1, 2], [1, 3], [0, 1], [1, -1], [1, 2]], np.int32)
    frames, labels = np.array([4, 4, 4, 9, 4], np.int32), np.array([2, 2, 2, 1, 3], np.int32)
    loss, grad = loss_and_grad(XP, logits, targets, frames, labels, blank=0, normalize=True)
    assert np.isnan(loss).tolist() == [False, True, True, True, True]
    assert np.isnan(grad).all(axis=(1, 2)).tolist() == [False, True, True, True, True]


def test_frames_of_more_than_one_are_nan_with_rounding() -> None:
    log_probs = np.log(np.full((2, 3, 4), 0.25, np.float32))
    log_probs[1, 2] += 0.01
    args = (np.array([[1], [1]], np.int32), np.array([3, 3], np.int32), np.array([1, 1], np.int32))
    told, _ = loss_and_grad(XP, log_probs, *args, blank=0, normalize=False, rounding=0.0)
    assert np.isnan(told).tolist() == [False, True]
    slack, _ = loss_and_grad(XP, log_probs, *args, blank=0, normalize=False, rounding=0.01)
    assert np.isfinite(slack).all()
    unasked, _ = loss_and_grad(XP, log_probs, *args, blank=0, normalize=False)
    assert np.isfinite(unasked).all()


def test_without_softmax_the_gradient_is_minus_the_posterior() -> None:
    problem = problems.random(2, 12, 5, 4)
    _, grad = loss_and_grad(XP, *padded(problem, np.float64), blank=0, normalize=True, softmax=False)
    np.testing.assert_allclose(-grad[:, :-1], reference.ctc_posteriors(problem.logits, *problem.args), atol=1e-14)


@pytest.mark.parametrize(
    ("path", "target", "spells"),
    [
        ([0, 1, 1, 0, 2, 0], [1, 2], True),
        ([1, 2, 0, 0, 0, 0], [1, 2], True),
        ([1, 0, 1, 1, 0, 2], [1, 1, 2], True),
        ([1, 1, 1, 0, 2, 0], [1, 1, 2], False),
        ([1, 0, 2, 0, 1, 0], [1, 2], False),
        ([0, 0, 1, 0, 0, 0], [1, 2], False),
        ([0, 0, 0, 0, 0, 0], [], True),
    ],
    ids=str,
)
def test_the_main_path_is_known_by_what_it_reads_as(path: list[int], target: list[int], spells: bool) -> None:
    logits = 5 * np.eye(3, dtype=np.float32)[path][None]
    targets = np.array([[*target, -1]], np.int32)
    prepared = prepare_targets(XP, logits, targets, np.array([6], np.int32), np.array([len(target)], np.int32), 0)
    main = main_path(XP, read_frames(XP, logits, prepared, 0, True).best, prepared, 0)
    assert main.spells.tolist() == [spells]
    batch = contract.validate((1, 6, 3), targets[:, : len(target)])
    assert (batch.target_lengths[0] == main.count[0, -1]) or not spells
