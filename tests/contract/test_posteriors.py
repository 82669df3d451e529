"""`ctc_posteriors`: the definition's, within the budget; 1 in sum, 0 where there is nothing, NaN where poison is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss import errors

from . import problems
from .frontend import Frontend
from .problems import NAMED, Problem
from .test_agreement import shares
from .tolerances import UNIT, posterior_bounds

NAN, INF = np.nan, np.inf
LOGITS = 2 * np.random.default_rng(1).normal(size=(3, 7, 5))
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0]]), np.array([7, 5, 3]), np.array([3, 2, 1])
USED = np.arange(7) < FRAMES[:, None]


def assert_agrees(frontend: Frontend, problem: Problem) -> None:
    problem = problem.with_logits(frontend.rounded(problem.logits))
    expected, allowed = posterior_bounds(problem, frontend.dtype, frontend.kernel)
    found = frontend.posteriors(problem.logits, *problem.args, **problem.options)
    assert found.dtype == frontend.computed_in
    assert not np.signbit(found).any()
    share = shares(found.astype(np.float64), expected, allowed)
    worst = np.unravel_index(share.argmax(), share.shape) if share.size else ()
    assert (share <= 1).all(), f"at {worst}: {found[worst]}, expected {expected[worst]}, {share[worst]} of the bound"


@pytest.mark.parametrize("normalize", [True, False])
@settings(max_examples=problems.examples(30), deadline=None)
@given(data=st.data())
def test_posteriors_of_small_batches_agree(precise_frontend: Frontend, normalize: bool, data: st.DataObject) -> None:
    assert_agrees(precise_frontend, data.draw(problems.drawn(precise_frontend.few_shapes, normalize)))


@pytest.mark.parametrize("name", ["phone", "flat", "scores times 1500", "sure by 16"])
def test_posteriors_of_large_and_hard_batches_agree(precise_frontend: Frontend, name: str) -> None:
    assert_agrees(precise_frontend, NAMED[name])


def test_posteriors_of_a_half_type_are_those_of_its_scores_in_float32(half_frontend: Frontend) -> None:
    assert_agrees(half_frontend, Problem(LOGITS, TARGETS, FRAMES, LABELS))


@pytest.mark.parametrize("normalize", [True, False])
def test_a_frame_in_use_adds_up_to_1_and_padding_is_0(frontend: Frontend, normalize: bool) -> None:
    logits = LOGITS if normalize else problems.log_probabilities(LOGITS)
    logits = np.where(USED[:, :, None], logits, NAN)
    found = frontend.posteriors(logits, TARGETS, FRAMES, LABELS, normalize=normalize)
    np.testing.assert_allclose(found.sum(axis=2, dtype=np.float64)[USED], 1.0, rtol=8 * UNIT[frontend.dtype])
    assert (found[~USED] == 0).all()


def test_only_the_blank_and_the_targets_classes_have_any(frontend: Frontend) -> None:
    found = frontend.posteriors(LOGITS, TARGETS, FRAMES, LABELS)
    for row, classes in enumerate([{0, 1, 2}, {0, 3, 4}, {0, 1}]):
        assert set(np.flatnonzero(found[row].any(axis=0)).tolist()) == classes


@pytest.mark.parametrize("infeasible", ["inf", "zero"])
def test_a_row_that_no_path_fits_has_none(frontend: Frontend, infeasible: str) -> None:
    found = frontend.posteriors(LOGITS, TARGETS, np.array([3, 5, 3]), LABELS, infeasible=infeasible)
    assert (found[0] == 0).all()
    assert found[1:].any(axis=(1, 2)).all()


def test_infeasible_raise_names_the_row(frontend: Frontend) -> None:
    with pytest.raises(errors.InfeasibleError, match=r"row 0: .* need 4 frames, found 3"):
        frontend.posteriors(LOGITS, TARGETS, np.array([3, 5, 3]), LABELS, infeasible="raise")


@pytest.mark.parametrize("score", [NAN, INF])
def test_a_poisoned_row_is_nan_in_its_frames_in_use_and_no_other_is_touched(frontend: Frontend, score: float) -> None:
    clean = frontend.posteriors(LOGITS, TARGETS, FRAMES, LABELS)
    logits = LOGITS.copy()
    logits[1, 2, 0] = score
    found = frontend.posteriors(logits, TARGETS, FRAMES, LABELS)
    assert np.isnan(found[1, :5]).all()
    assert (found[1, 5:] == 0).all()
    assert (found[[0, 2]] == clean[[0, 2]]).all()


def test_a_bad_label_is_refused_or_without_validate_nan_for_its_row(frontend: Frontend) -> None:
    targets = TARGETS.copy()
    targets[1, 1] = 5
    with pytest.raises(errors.LabelError, match=r"targets\[1, 1\]: found label 5"):
        frontend.posteriors(LOGITS, targets, FRAMES, LABELS)
    found = frontend.posteriors(LOGITS, targets, FRAMES, LABELS, validate=False)
    assert np.isnan(found).any(axis=(1, 2)).tolist() == [False, True, False]


def test_scores_that_are_no_log_probabilities_are_refused_unless_validate_is_false(frontend: Frontend) -> None:
    args = (LOGITS, TARGETS, FRAMES, LABELS)
    frontend.refuses_scores(
        lambda: frontend.posteriors(*args, normalize=False), errors.NormalizationError, "log_softmax once"
    )
    found = frontend.posteriors(LOGITS, TARGETS, FRAMES, LABELS, normalize=False, validate=False)
    np.testing.assert_allclose(found.sum(axis=2, dtype=np.float64)[USED], 1.0, rtol=8 * UNIT[frontend.dtype])


def test_the_posterior_is_the_softmax_less_the_gradient(precise_frontend: Frontend) -> None:
    args = (LOGITS, TARGETS, FRAMES, LABELS)
    _, gradient = precise_frontend.loss_and_grad(*args)
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)
    found = precise_frontend.posteriors(*args)
    np.testing.assert_allclose(found, np.where(USED[:, :, None], softmax - gradient, 0.0), atol=1e-6)


REFUSED: list[tuple[type[Exception], dict[str, Any]]] = [
    (errors.LabelError, {"targets": [[1, 2, 2], [3, 4, 0], [1, 0, 0]], "target_lengths": None}),
    (errors.LengthError, {"logit_lengths": np.array([7, 8, 3])}),
    (errors.DTypeError, {"targets": np.ones((3, 3))}),
    (errors.ShapeError, {"targets": np.array([[1]])}),
    (errors.LabelError, {"blank": 5}),
    (errors.OptionError, {"infeasible": "skip"}),
]


@pytest.mark.parametrize(("error", "change"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_the_loss_refuses_is_refused_with_the_same_words(
    frontend: Frontend, error: type[Exception], change: dict[str, Any]
) -> None:
    options = {"targets": TARGETS, "logit_lengths": FRAMES, "target_lengths": LABELS, **change}
    args = [options.pop(name) for name in ("targets", "logit_lengths", "target_lengths")]
    words = set()
    for function in (frontend.loss, frontend.posteriors, *[frontend.align] * frontend.aligns):
        with pytest.raises(error) as caught:
            function(LOGITS, *args, **options)
        words.add(str(caught.value))
    assert len(words) == 1
