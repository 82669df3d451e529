"""`ctc_greedy`: the best class of each frame, repeats merged, blanks dropped, with frames and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqloss import errors
from seqloss.reference.paths import collapse, label_spans

from .frontend import Frontend

NAN, INF = np.nan, np.inf


def one_hot(path: list[int], classes: int = 4, margin: float = 5.0) -> np.ndarray:
    return margin * np.eye(classes)[None, path]


@pytest.mark.parametrize("blank", [0, 2, -1])
@pytest.mark.parametrize(
    "path", [[1, 1, 0, 1], [0, 0, 0], [1], [0, 1, 1, 2, 3, 3, 3], [1, 2, 1, 2], [3, 0, 0, 3], [2, 2, 0, 2]], ids=str
)
def test_labels_and_frames_are_those_of_the_collapsed_path(frontend: Frontend, path: list[int], blank: int) -> None:
    (found,) = frontend.greedy(one_hot(path), blank=blank)
    assert tuple(found.labels) == collapse(path, blank % 4)
    assert list(zip(found.first, found.last, strict=True)) == label_spans(path, blank % 4)


def test_scores_are_the_log_probabilities_of_the_path_and_of_each_label(frontend: Frontend) -> None:
    logits = np.random.default_rng(0).normal(size=(3, 20, 5))
    scores = frontend.rounded(logits)
    best = scores.max(axis=2) - np.log(np.exp(scores).sum(axis=2))  # (batch, time)
    for row, found in enumerate(frontend.greedy(logits)):
        assert tuple(found.labels) == collapse(scores[row].argmax(axis=1).tolist())
        assert found.score == pytest.approx(best[row].sum(), rel=1e-12)
        expected = [best[row, a : b + 1].sum() for a, b in zip(found.first, found.last, strict=True)]
        np.testing.assert_allclose(found.label_scores, expected, rtol=1e-12)


def test_results_are_plain_int64_and_float64(frontend: Frontend) -> None:
    (found,) = frontend.greedy(one_hot([0, 1, 1, 2]))
    assert {a.dtype for a in (found.labels, found.first, found.last)} == {np.dtype(np.int64)}
    assert found.label_scores.dtype == np.float64
    assert isinstance(found.score, float)


def test_without_normalize_the_scores_are_not_normalised(frontend: Frontend) -> None:
    (found,) = frontend.greedy(np.array([[[-3.0, -0.5], [-0.25, -4.0]]]), normalize=False)
    assert (found.score, found.label_scores.tolist()) == (-0.75, [-0.5])


def test_among_equal_scores_the_lower_class_wins(frontend: Frontend) -> None:
    assert frontend.greedy(np.zeros((1, 3, 4)))[0].labels.tolist() == []
    (found,) = frontend.greedy(np.zeros((1, 3, 4)), blank=3)
    assert (found.labels.tolist(), found.first.tolist(), found.last.tolist()) == ([0], [0], [2])


def test_frames_past_a_length_are_never_read(frontend: Frontend) -> None:
    logits = one_hot([1, 2, 3]).repeat(3, 0)
    logits[0, 2] = NAN
    logits[1] = NAN
    found = frontend.greedy(logits, np.array([2, 0, 3]))
    assert [row.labels.tolist() for row in found] == [[1, 2], [], [1, 2, 3]]
    assert found[1].score == 0.0


@pytest.mark.parametrize("score", [NAN, INF, -INF])
def test_a_row_with_nan_inf_or_a_closed_frame_reads_as_nothing_with_a_score_of_nan(
    frontend: Frontend, score: float
) -> None:
    logits = one_hot([1, 2, 3]).repeat(2, 0)
    logits[0, 1, slice(None) if score == -INF else 2] = score
    poisoned, clean = frontend.greedy(logits)
    assert np.isnan(poisoned.score)
    assert [a.size for a in (poisoned.labels, poisoned.first, poisoned.last, poisoned.label_scores)] == [0] * 4
    assert clean.labels.tolist() == [1, 2, 3]


def test_nan_in_a_class_that_is_not_the_best_is_seen(frontend: Frontend) -> None:
    logits = one_hot([1, 2, 3])
    logits[0, 1, 0] = NAN
    assert np.isnan(frontend.greedy(logits)[0].score)


def test_a_masked_class_does_not_make_the_row_nan(frontend: Frontend) -> None:
    logits = one_hot([1, 2, 3])
    logits[:, :, 0] = -INF
    assert frontend.greedy(logits)[0].labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (0, 0, 1)])
def test_empty_axes_work(frontend: Frontend, shape: tuple[int, int, int]) -> None:
    found = frontend.greedy(np.zeros(shape))
    assert [row.labels.size for row in found] == [0] * shape[0]
    assert all(row.score == 0 for row in found)


def test_one_class_is_all_blank(frontend: Frontend) -> None:
    (found,) = frontend.greedy(np.random.default_rng(0).normal(size=(1, 4, 1)))
    assert (found.labels.size, found.score) == (0, 0.0)


def test_strides_do_not_matter(strided_frontend: Frontend) -> None:
    logits = np.random.default_rng(0).normal(size=(7, 2, 5)).astype(strided_frontend.stored).transpose(1, 0, 2)
    turned, plain = strided_frontend.greedy(logits), strided_frontend.greedy(np.ascontiguousarray(logits))
    assert [row.labels.tolist() for row in turned] == [row.labels.tolist() for row in plain]
    assert [row.score for row in turned] == [row.score for row in plain]


@pytest.mark.parametrize(
    ("shape", "args", "options", "error", "words"),
    [
        ((2, 3), (), {}, errors.ShapeError, r"logits: expected shape \(batch, time, classes\), found \(2, 3\)"),
        ((1, 2, 3), ([3],), {}, errors.LengthError, r"logit_lengths\[0\]: found 3, expected 0 to 2"),
        ((1, 2, 3), ([1, 1],), {}, errors.ShapeError, "logit_lengths: expected 1 rows"),
        ((1, 2, 3), (), {"blank": 3}, errors.LabelError, "blank: found 3, expected -3 to 2"),
        ((1, 2, 3), (np.array([1.0]),), {}, errors.DTypeError, "logit_lengths: expected integers"),
    ],
)
def test_what_breaks_the_contract_is_refused(
    frontend: Frontend, shape: tuple[int, ...], args: Any, options: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        frontend.greedy(np.zeros(shape), *args, **options)


def test_scores_that_are_no_floats_are_refused(frontend: Frontend) -> None:
    with pytest.raises(errors.DTypeError, match=r"logits: expected float16, .*, found (torch\.)?int32"):
        frontend.of("int32").greedy(np.zeros((1, 2, 3)))


def test_scores_that_are_no_log_probabilities_are_refused_where_they_are_read_as_such(frontend: Frontend) -> None:
    scores = one_hot([0, 1, 2])
    assert frontend.greedy(scores)[0].score < 0
    with pytest.raises(
        errors.NormalizationError, match=r"logits\[0, 0\]: with normalize=False the scores must be log-"
    ):
        frontend.greedy(scores, normalize=False)
    scores[:, 2:] = 0  # past the row's length
    scores[:, :2] -= np.log(np.exp(scores[:, :2]).sum(axis=2, keepdims=True))
    assert frontend.greedy(scores, [2], normalize=False)[0].score < 0


def test_log_probabilities_rounded_to_the_type_of_the_scores_are_decoded(frontend: Frontend) -> None:
    scores = np.random.default_rng(1).normal(size=(2, 9, 5000))
    scores -= np.log(np.exp(scores).sum(axis=2, keepdims=True))
    assert all(row.score < 0 for row in frontend.greedy(scores, normalize=False))
