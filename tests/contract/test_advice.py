"""What an error or a finding advises gives the right loss when it is followed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqloss import errors, reference

from .frontend import Frontend


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True)


def as_bfloat16(values: np.ndarray) -> np.ndarray:
    """The values of bfloat16 nearest to these, in float32."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x8000) & 0xFFFF0000).view(np.float32)


def cut_to_three_digits(values: np.ndarray) -> np.ndarray:
    return np.floor(values * 1000) / 1000


SURE = np.eye(4)[[[1, 0, 2], [3, 3, 0]]] * 0.9996 + 0.0001
"""A sure network's softmax, (2, 3, 4): paths of the targets [1, 2] and [3]."""
TARGETS, LABELS = np.array([[1, 2], [3, 0]]), np.array([2, 1])
EXACT = reference.ctc_loss_and_grad(np.log(SURE), TARGETS, None, LABELS)[0]
SCORES = np.random.default_rng(1).normal(size=(2, 6, 4))
UNDECIDED = softmax(SCORES)


def kinds(frontend: Frontend, logits: Any, *args: Any, **options: Any) -> list[tuple[int, str]]:
    return [(finding.row, finding.kind) for finding in frontend.check(logits, *args, **options).findings]


# --- probabilities


@pytest.mark.parametrize("probabilities", [SURE, UNDECIDED], ids=["sure", "undecided"])
def test_probabilities_for_log_probabilities_are_told_to_be_logarithms(
    frontend: Frontend, probabilities: np.ndarray
) -> None:
    words = "logits: row 0 holds probabilities .* expected log-probabilities; take their logarithm"
    args = (TARGETS, None, LABELS)
    frontend.refuses_scores(
        lambda: frontend.loss(probabilities, *args, normalize=False), errors.NormalizationError, words
    )
    report = frontend.check(probabilities, *args, normalize=False)
    assert [finding.kind for finding in report.findings] == ["normalization"] * 2
    assert re.match(words, report.findings[0].cause)
    assert "apply log_softmax once" not in str(report)


@pytest.mark.parametrize("change", [as_bfloat16, cut_to_three_digits])
def test_probabilities_that_were_rounded_are_told_to_be_logarithms(
    frontend: Frontend, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    probabilities = change(softmax(SCORES))
    assert (np.abs(probabilities.sum(axis=2) - 1) > 2e-4).any()
    frontend.refuses_scores(
        lambda: frontend.loss(probabilities, TARGETS, None, LABELS, normalize=False),
        errors.NormalizationError,
        "logits: row 0 holds probabilities .* take their logarithm",
    )
    assert kinds(frontend, probabilities, TARGETS, None, LABELS) == [(0, "probabilities"), (1, "probabilities")]


def test_frames_of_zeros_behind_probabilities_need_lengths(frontend: Frontend) -> None:
    padded = np.concatenate([SURE, np.zeros((2, 2, 4))], axis=1)
    time = SURE.shape[1]
    frontend.refuses_scores(
        lambda: frontend.loss(padded, TARGETS, None, LABELS, normalize=False),
        errors.NormalizationError,
        f"take their logarithm: .*; frame {time} holds zeros only: give logit_lengths without such frames",
    )


def test_the_logarithm_with_lengths_without_frames_of_zeros_is_right(precise_frontend: Frontend) -> None:
    time = SURE.shape[1]
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.concatenate([SURE, np.zeros((2, 2, 4))], axis=1))
    found = precise_frontend.loss(log_probs, TARGETS, [time, time], LABELS, normalize=False)
    np.testing.assert_allclose(found, EXACT, rtol=1e-3)


def test_a_check_tells_probabilities_from_scores_before_softmax(frontend: Frontend) -> None:
    logits = SCORES.copy()
    logits[1] = softmax(logits[1])
    (finding,) = frontend.check(logits, TARGETS, None, LABELS).findings
    assert (finding.row, finding.kind) == (1, "probabilities")
    assert re.match("logits: row 1 holds probabilities .* expected scores before softmax; pass those", finding.cause)
    assert "or take the logarithm of the probabilities" in finding.cause


def test_the_logarithm_of_the_probabilities_has_the_right_loss(precise_frontend: Frontend) -> None:
    args = (TARGETS, None, LABELS)
    for normalize in (True, False):
        with np.errstate(divide="ignore"):
            found = precise_frontend.loss(np.log(SURE), *args, normalize=normalize)
        np.testing.assert_allclose(found, EXACT, rtol=1e-3)
        assert precise_frontend.check(np.log(SURE), *args, normalize=normalize).ok
    assert (precise_frontend.loss(SURE, *args) > 1000 * EXACT).all()  # and without advice it is far off


def test_scores_that_are_no_probabilities_are_told_to_be_normalised(frontend: Frontend) -> None:
    logits = SURE.copy()
    logits[:, 1] += 0.1  # one frame in use adds up to 1.4
    words = "apply log_softmax once"
    frontend.refuses_scores(
        lambda: frontend.loss(logits, TARGETS, None, LABELS, normalize=False), errors.NormalizationError, words
    )
    assert kinds(frontend, logits, TARGETS, None, LABELS) == []
    negative = SURE.copy()
    for frame in ([0.5, -0.25, 0.5, 0.25], [1.25, -0.25, 0.0, 0.0]):
        negative[:, 1] = frame
        assert kinds(frontend, negative, TARGETS, None, LABELS) == []


def test_frames_past_a_length_have_no_say_in_what_are_probabilities(frontend: Frontend) -> None:
    logits = np.concatenate([SURE, np.full((2, 2, 4), 7.0)], axis=1)
    assert kinds(frontend, logits, TARGETS, [3, 5], LABELS) == [(0, "probabilities")]
    assert kinds(frontend, logits, TARGETS, [0, 5], [0, 1]) == []


def test_a_row_of_probabilities_without_a_path_is_infeasible_first(frontend: Frontend) -> None:
    crowded = np.array([[1, 1], [3, 3]])
    assert kinds(frontend, SURE, crowded, [2, 3]) == [(0, "infeasible"), (1, "probabilities")]


def test_what_a_softmax_does_not_change_is_no_finding(frontend: Frontend) -> None:
    assert kinds(frontend, np.full((2, 6, 4), 0.25), TARGETS, None, LABELS) == []
    assert kinds(frontend, np.ones((2, 6, 1)), np.zeros((2, 0), int)) == []
    one_class = frontend.check(np.ones((1, 6, 1)), np.zeros((1, 0), int), normalize=False)
    assert "apply log_softmax once" in str(one_class)


def test_log_probabilities_are_never_taken_for_probabilities(precise_frontend: Frontend) -> None:
    with np.errstate(divide="ignore"):
        hard = np.log(np.eye(4)[[[1, 0, 2], [3, 3, 0]]])  # 0 and -inf
    for log_probs in (hard, np.zeros((2, 6, 1)), np.log(UNDECIDED)):
        labels = LABELS if log_probs.shape[2] > 1 else np.zeros(2, int)
        for normalize in (True, False):
            assert kinds(precise_frontend, log_probs, TARGETS, None, labels, normalize=normalize) == []


def test_a_softmax_of_many_classes_is_recognised_in_each_type(frontend: Frontend) -> None:
    probabilities = softmax(np.random.default_rng(2).normal(size=(2, 6, 2000)))
    assert kinds(frontend, probabilities, TARGETS, None, LABELS) == [(0, "probabilities"), (1, "probabilities")]
    assert kinds(frontend, probabilities * 1.05, TARGETS, None, LABELS) == []


# --- lengths that are floats


@pytest.mark.parametrize(("frames", "axis"), [(13, 22), (7, 23), (1, 41)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_fractions_become_lengths_by_the_conversion_of_the_message(
    float32_frontend: Frontend, frames: int, axis: int, kind: type
) -> None:
    """In float32, truncation makes one frame less of each of these."""
    assert int(np.float32(frames) / np.float32(axis) * np.float32(axis)) == frames - 1
    logits = np.random.default_rng(axis).normal(size=(2, axis, 3))
    targets = np.array([[1], [2]])
    with pytest.raises(errors.DTypeError, match=r"logit_lengths\[1\]: .* fraction of the time axis") as caught:
        float32_frontend.loss(logits, targets, np.array([axis, frames], kind) / kind(axis))
    found = re.search(r"round\(.* \* (\d+)\) = (\d+)\.", str(caught.value))
    assert found
    assert (int(found[1]), int(found[2])) == (axis, frames)


def test_fractions_of_the_labels_are_named_with_their_axis(frontend: Frontend) -> None:
    logits, targets = np.zeros((2, 6, 4)), np.array([[1, 2, 3, 1], [1, 2, 3, 0]])
    words = r"target_lengths\[1\]: .* found 0\.75, a fraction of the labels axis; .* round\(0\.75 \* 4\) = 3\."
    for validate in (True, False):
        with pytest.raises(errors.DTypeError, match=words):
            frontend.loss(logits, targets, None, [1.0, 0.75], validate=validate)
    with pytest.raises(errors.DTypeError, match=words):
        frontend.check(logits, targets, None, [1.0, 0.75])


def test_fractions_of_concatenated_labels_have_an_axis_of_no_known_size(concatenating_frontend: Frontend) -> None:
    with pytest.raises(errors.DTypeError, match=r"round\(0\.5 \* size of the labels axis\)\. "):
        concatenating_frontend.loss(np.zeros((2, 6, 4)), [1, 2, 3], None, [1.0, 0.5])


# --- labels


@pytest.mark.parametrize("row", [[1, -1, 2], [-1, -1, 2], [1, -7, 0]])
def test_a_negative_label_before_other_labels_is_no_padding(frontend: Frontend, row: list[int]) -> None:
    words = r"targets\[1, .* \(unknown, star, wildcard\) is not supported: give it a class of its own, such as <unk>"
    args = (np.zeros((2, 6, 4)), np.array([[1, 2, 3], row]))
    with pytest.raises(errors.LabelError, match=words) as caught:
        frontend.loss(*args)
    assert "target_lengths" not in str(caught.value)
    assert re.match(words, frontend.check(*args).findings[0].cause)


@pytest.mark.parametrize(("row", "length"), [([1, 2, -1], 3), ([1, -1, -2], 3), ([-1, -1, -1], 3), ([1, -1, 2], 2)])
def test_a_negative_label_at_the_end_of_its_row_is_padding(frontend: Frontend, row: list[int], length: int) -> None:
    args = (np.zeros((2, 6, 4)), np.array([[1, 2, 3], row]), None, [3, length])
    with pytest.raises(errors.LabelError, match=r"looks like padding .*: give the true target_lengths"):
        frontend.loss(*args)
    kept = next(place for place, label in enumerate(row) if label < 0)
    found = frontend.loss(*args[:3], [3, kept])
    np.testing.assert_array_equal(found[1], frontend.loss(args[0], np.abs(args[1]), None, [3, kept])[1])


def test_an_unknown_label_with_a_class_of_its_own_has_a_loss(precise_frontend: Frontend) -> None:
    logits = np.random.default_rng(0).normal(size=(1, 6, 4))
    wider = np.concatenate([logits, np.zeros((1, 6, 1))], axis=2)  # <unk> is class 4
    found = precise_frontend.loss(wider, [[1, 4, 2]])
    expected, _ = reference.ctc_loss_and_grad(precise_frontend.rounded(wider), np.array([[1, 4, 2]]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_label_that_is_the_blank_becomes_right_by_moving_the_blank(precise_frontend: Frontend) -> None:
    """Labels from 0 to 2, with the blank as the last class."""
    logits, targets = np.random.default_rng(0).normal(size=(1, 6, 4)), np.array([[0, 2, 1]])
    with pytest.raises(
        errors.LabelError, match=r"if it is a label, give the blank a class of its own with blank=\.\.\."
    ):
        precise_frontend.loss(logits, targets)
    found = precise_frontend.loss(logits, targets, blank=3)
    shifted = precise_frontend.loss(np.roll(logits, 1, axis=2), targets + 1)
    expected, _ = reference.ctc_loss_and_grad(precise_frontend.rounded(logits), targets, blank=3)
    np.testing.assert_allclose([found, shifted], [expected, expected], rtol=1e-5)
