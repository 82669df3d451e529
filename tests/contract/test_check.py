"""`ctc_check` lists each row that the loss refuses or answers with inf or NaN, in the words of the loss' own errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss import errors

from . import problems
from .frontend import Frontend
from .problems import Problem

NAN, INF = np.nan, np.inf
LOGITS = np.random.default_rng(0).normal(size=(4, 6, 4))
TARGETS = np.array([[1, 2, 3], [3, 2, 1], [1, 1, 2], [2, 0, 0]])
FRAMES, LABELS = np.array([6, 5, 4, 6]), np.array([3, 3, 3, 1])


def test_rows_that_can_be_trained_on_give_an_empty_report(frontend: Frontend) -> None:
    report = frontend.check(LOGITS, TARGETS, FRAMES, LABELS)
    assert report.ok
    assert (report.rows, report.findings, report.counts) == (4, (), {})
    assert str(report) == "all 4 samples valid"


def changed(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


REFUSED: dict[str, tuple[str, tuple[Any, ...]]] = {
    "a label past the classes": ("label", (LOGITS, changed(TARGETS, (1, 2), 4), FRAMES, LABELS)),
    "padding inside the length": ("label", (LOGITS, changed(TARGETS, (1, 1), -1), FRAMES, LABELS)),
    "the blank": ("label", (LOGITS, changed(TARGETS, (1, 0), 0), FRAMES, LABELS)),
    "a label past int32": ("label", (LOGITS, changed(TARGETS, (1, 0), 2**40), FRAMES, LABELS)),
    "too many frames": ("length", (LOGITS, TARGETS, changed(FRAMES, (1,), 7), LABELS)),
    "a negative number of frames": ("length", (LOGITS, TARGETS, changed(FRAMES, (1,), -1), LABELS)),
    "too many labels": ("length", (LOGITS, TARGETS, FRAMES, changed(LABELS, (1,), 4))),
    "too few frames": ("infeasible", (LOGITS, TARGETS, changed(FRAMES, (1,), 2), LABELS)),
    "a masked label": ("infeasible", (changed(LOGITS, (1, slice(None), 3), -INF), TARGETS, FRAMES, LABELS)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_finding_has_the_words_of_the_error(frontend: Frontend, case: str) -> None:
    kind, args = REFUSED[case]
    report = frontend.check(*args)
    assert [(finding.row, finding.kind) for finding in report.findings] == [(1, kind)]
    words = f"^{re.escape(report.findings[0].cause)}$"
    if case == "a masked label":
        frontend.refuses_scores(lambda: frontend.loss(*args, infeasible="raise"), errors.InfeasibleError, words)
        return
    with pytest.raises(errors.SeqLossError, match=words):
        frontend.loss(*args, infeasible="raise")


def test_scores_that_are_no_log_probabilities_are_found_row_by_row(frontend: Frontend) -> None:
    log_probs = problems.log_probabilities(LOGITS)
    log_probs[1:3, 3] += 1.0
    report = frontend.check(log_probs, TARGETS, FRAMES, LABELS, normalize=False)
    assert [(finding.row, finding.kind) for finding in report.findings] == [(1, "normalization"), (2, "normalization")]
    frontend.refuses_scores(
        lambda: frontend.loss(log_probs, TARGETS, FRAMES, LABELS, normalize=False),
        errors.NormalizationError, f"^{re.escape(report.findings[0].cause)}$",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("score", "words"), [(NAN, "a score of nan"), (INF, "a score of inf"), (-INF, "nothing but -inf")]
)
def test_poison_is_named_with_its_first_frame(frontend: Frontend, score: float, words: str) -> None:
    logits = changed(LOGITS, (1, slice(3, None), slice(None) if score == -INF else 2), score)
    (finding,) = frontend.check(logits, TARGETS, FRAMES, LABELS).findings
    assert (finding.row, finding.kind) == (1, "non-finite")
    assert finding.cause.startswith(f"logits[1, 3]: found {words} in a frame in use")


def test_every_bad_row_is_counted_and_printed(frontend: Frontend) -> None:
    logits = changed(LOGITS, (3, 0, 0), NAN)
    report = frontend.check(logits, changed(TARGETS, (0, 0), 9), np.array([6, 2, 2, 6]), LABELS)
    assert not report.ok
    assert report.counts == {"label": 1, "infeasible": 2, "non-finite": 1}
    lines = str(report).split("\n")
    assert lines[0] == "4 of 4 samples invalid: 1 out-of-range label, 2 infeasible targets, 1 non-finite row"
    assert lines[1:] == [finding.cause for finding in report.findings]


def test_nothing_past_a_length_is_reported(frontend: Frontend) -> None:
    logits = np.where(np.arange(6)[:, None] >= FRAMES[:, None, None], NAN, LOGITS)
    targets = np.where(np.arange(3) >= LABELS[:, None], -100, TARGETS)
    assert frontend.check(logits, targets, FRAMES, LABELS).ok


@settings(max_examples=problems.examples(30), deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_the_rows_found_are_those_whose_loss_is_no_number(
    precise_frontend: Frontend, data: st.DataObject, seed: int
) -> None:
    problem = _spoilt(data.draw(problems.drawn(precise_frontend.few_shapes)), seed)
    loss = precise_frontend.loss(problem.logits, *problem.args, **problem.options, validate=False)
    report = precise_frontend.check(problem.logits, *problem.args, **problem.options)
    findings = [finding for finding in report.findings if finding.kind != "probabilities"]  # one hot, for example
    assert [finding.row for finding in findings] == np.flatnonzero(~np.isfinite(loss)).tolist()
    for finding in findings:
        assert (finding.kind == "infeasible") == (loss[finding.row] == INF)


def _spoilt(problem: Problem, seed: int) -> Problem:
    """Here and there a label that is no class, a length off its axis, a NaN."""
    rng = np.random.default_rng(seed)
    logits, targets, frames, labels = (array.copy() for array in (problem.logits, *problem.args))
    logits[rng.random(logits.shape) < 0.01] = NAN
    targets[rng.random(targets.shape) < 0.1] += 3
    frames[rng.random(frames.shape) < 0.1] += 5
    labels[rng.random(labels.shape) < 0.1] -= 2
    return Problem(logits, targets, frames, labels, problem.blank)


@pytest.mark.parametrize(
    ("error", "words", "args", "options"),
    [
        (errors.ShapeError, "targets: expected 4 rows", (TARGETS[:1],), {}),
        (errors.DTypeError, "targets: expected integers, found float64", (TARGETS + 0.5,), {}),
        (errors.LabelError, "blank: found 4", (TARGETS,), {"blank": 4}),
    ],
)
def test_what_is_no_single_rows_fault_is_an_error(
    frontend: Frontend, error: type[Exception], words: str, args: Any, options: Any
) -> None:
    with pytest.raises(error, match=words):
        frontend.check(LOGITS, *args, **options)


def test_concatenated_labels_are_found_by_row_and_position(concatenating_frontend: Frontend) -> None:
    report = concatenating_frontend.check(LOGITS, np.array([1, 2, 8, 3]), None, np.array([2, 1, 0, 1]))
    assert [(finding.row, finding.cause[:30]) for finding in report.findings] == [(1, "targets[1, 0]: found label 8, ")]


@pytest.mark.parametrize("normalize", [True, False])
def test_a_row_with_two_faults_is_listed_once_with_the_error_of_the_loss(frontend: Frontend, normalize: bool) -> None:
    logits = changed(LOGITS, (1, 0, 0), NAN)
    logits[1, 1] = 3.0
    report = frontend.check(logits, changed(TARGETS, (1, 0), 9), FRAMES, LABELS, normalize=normalize)
    assert [finding.kind for finding in report.findings if finding.row == 1] == ["label"]


def test_the_frame_that_is_named_is_the_one_that_poisons(precise_frontend: Frontend) -> None:
    log_probs = np.log(np.full((2, 4, 4), 0.25))
    log_probs[0, 1, 3] = np.nan  # not read by the target
    log_probs[0, 3, 1] = np.nan
    log_probs[1, 0] = -np.inf  # closes every path, and poisons none
    report = precise_frontend.check(log_probs, np.array([[1, 2], [1, 2]]), normalize=False)
    assert [(finding.row, finding.kind) for finding in report.findings] == [(0, "non-finite"), (1, "infeasible")]
    assert report.findings[0].cause.startswith("logits[0, 3]: found a score of nan")
