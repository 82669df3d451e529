"""`ctc_greedy`: the best class of each frame, repeats merged, blanks dropped, with frames and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqloss import errors
from seqloss.reference.paths import collapse, label_spans
from seqloss.torch import Greedy, ctc_greedy

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def one_hot(path: list[int], classes: int = 4, margin: float = 5.0) -> torch.Tensor:
    return margin * torch.nn.functional.one_hot(torch.tensor(path), classes)[None].double()


def read(path: list[int], **options: Any) -> Greedy:
    return ctc_greedy(one_hot(path), **options)[0]


@pytest.mark.parametrize("blank", [0, 2, -1])
@pytest.mark.parametrize(
    "path", [[1, 1, 0, 1], [0, 0, 0], [1], [0, 1, 1, 2, 3, 3, 3], [1, 2, 1, 2], [3, 0, 0, 3], [2, 2, 0, 2]], ids=str
)
def test_labels_and_frames_are_those_of_the_collapsed_path(path: list[int], blank: int) -> None:
    found = read(path, blank=blank)
    assert tuple(found.labels) == collapse(path, blank % 4)
    assert list(zip(found.first, found.last, strict=True)) == label_spans(path, blank % 4)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_scores_are_the_log_probabilities_of_the_path_and_of_each_label(dtype: torch.dtype) -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 20, 5))).to(dtype)
    best, classes = torch.log_softmax(logits.double(), 2).max(2)
    for row, found in enumerate(ctc_greedy(logits)):
        assert tuple(found.labels) == collapse(classes[row].tolist())
        assert found.score == pytest.approx(best[row].sum().item(), rel=1e-12)
        expected = [best[row, a : b + 1].sum().item() for a, b in zip(found.first, found.last, strict=True)]
        np.testing.assert_allclose(found.label_scores, expected, rtol=1e-12)


def test_results_are_plain_int64_and_float64() -> None:
    found = read([0, 1, 1, 2])
    assert {a.dtype for a in (found.labels, found.first, found.last)} == {np.dtype(np.int64)}
    assert found.label_scores.dtype == np.float64
    assert isinstance(found.score, float)


def test_without_normalize_the_scores_count_as_they_stand() -> None:
    logits = torch.tensor([[[-3.0, -0.5], [-0.25, -4.0]]])
    found = ctc_greedy(logits, normalize=False)[0]
    assert (found.score, found.label_scores.tolist()) == (-0.75, [-0.5])


def test_among_equal_scores_the_lower_class_wins() -> None:
    assert ctc_greedy(torch.zeros(1, 3, 4))[0].labels.tolist() == []
    found = ctc_greedy(torch.zeros(1, 3, 4), blank=3)[0]
    assert (found.labels.tolist(), found.first.tolist(), found.last.tolist()) == ([0], [0], [2])


def test_frames_past_a_length_are_never_read() -> None:
    logits = one_hot([1, 2, 3]).repeat(3, 1, 1)
    logits[0, 2] = torch.nan
    logits[1] = torch.nan
    found = ctc_greedy(logits, torch.tensor([2, 0, 3]))
    assert [row.labels.tolist() for row in found] == [[1, 2], [], [1, 2, 3]]
    assert found[1].score == 0.0


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_inf_or_a_closed_frame_reads_as_nothing_with_a_score_of_nan(score: float) -> None:
    logits = one_hot([1, 2, 3]).repeat(2, 1, 1)
    logits[0, 1, slice(None) if score == -np.inf else 2] = score
    poisoned, clean = ctc_greedy(logits)
    assert np.isnan(poisoned.score)
    assert [a.size for a in (poisoned.labels, poisoned.first, poisoned.last, poisoned.label_scores)] == [0] * 4
    assert clean.labels.tolist() == [1, 2, 3]


def test_nan_in_a_class_that_is_not_the_best_is_seen() -> None:
    logits = one_hot([1, 2, 3])
    logits[0, 1, 0] = torch.nan
    assert np.isnan(ctc_greedy(logits)[0].score)


def test_a_masked_class_is_no_poison() -> None:
    logits = one_hot([1, 2, 3])
    logits[:, :, 0] = -torch.inf
    assert ctc_greedy(logits)[0].labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (0, 0, 1)])
def test_empty_axes_work(shape: tuple[int, int, int]) -> None:
    found = ctc_greedy(torch.zeros(shape))
    assert [row.labels.size for row in found] == [0] * shape[0]
    assert all(row.score == 0 for row in found)


def test_one_class_is_all_blank() -> None:
    found = ctc_greedy(torch.randn(1, 4, 1))[0]
    assert (found.labels.size, found.score) == (0, 0.0)


def test_strides_and_graphs_do_not_matter() -> None:
    logits = torch.randn(7, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    turned = ctc_greedy(logits.transpose(0, 1))
    plain = ctc_greedy(logits.detach().transpose(0, 1).contiguous())
    assert [row.labels.tolist() for row in turned] == [row.labels.tolist() for row in plain]
    assert [row.score for row in turned] == [row.score for row in plain]


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        (
            (torch.zeros(2, 3),),
            {},
            errors.ShapeError,
            r"logits: expected shape \(batch, time, classes\), found \(2, 3\)",
        ),
        ((torch.zeros(1, 2, 3), [3]), {}, errors.LengthError, r"logit_lengths\[0\]: found 3, expected 0 to 2"),
        ((torch.zeros(1, 2, 3), [1, 1]), {}, errors.ShapeError, "logit_lengths: expected 1 rows"),
        ((torch.zeros(1, 2, 3),), {"blank": 3}, errors.LabelError, "blank: found 3, expected -3 to 2"),
        ((torch.zeros(1, 2, 3, dtype=torch.int64),), {}, errors.DTypeError, "logits: .*found torch.int64"),
        ((np.zeros((1, 2, 3)),), {}, errors.DTypeError, "logits: expected a torch.Tensor, found ndarray"),
        ((torch.zeros(1, 2, 3), torch.tensor([1.0])), {}, errors.DTypeError, "logit_lengths: expected integers"),
    ],
)
def test_what_breaks_the_contract_is_refused(args: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ctc_greedy(*args, **options)
