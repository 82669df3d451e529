"""`ctc_check`: the NumPy frontend's report, from tensors of every type."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import seqloss.numpy as host
from seqloss import errors
from seqloss.torch import Finding, Report, ctc_check, ctc_loss

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TARGETS = torch.tensor([[1, 2], [1, 1], [3, 5], [1, 2], [2, 3], [1, 0]])
FRAMES, LABELS = torch.tensor([6, 2, 6, 6, 9, 6]), torch.tensor([2, 2, 2, 2, 2, 1])
KINDS = {"infeasible": 1, "label": 1, "non-finite": 1, "length": 1}


def logits() -> torch.Tensor:
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 6, 4)))
    scores[3, 2, 1] = float("nan")
    return scores


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_bad_rows_of_every_kind_are_found_as_the_numpy_frontend_finds_them(kind: torch.dtype) -> None:
    x = logits().to(kind)
    report = ctc_check(x.requires_grad_(), TARGETS, FRAMES, LABELS)
    assert report == host.ctc_check(x.detach().double().numpy(), TARGETS.numpy(), FRAMES.numpy(), LABELS.numpy())
    assert isinstance(report, Report)
    assert isinstance(report.findings[0], Finding)
    assert report.counts == KINDS
    assert [finding.row for finding in report.findings] == [1, 2, 3, 4]


def refusal(scores: torch.Tensor) -> str | None:
    try:
        ctc_loss(scores, torch.tensor([[1, 2]]), normalize=False)
    except errors.NormalizationError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_log_probabilities_are_refused_as_the_loss_refuses_them_and_never_for_their_rounding(kind: torch.dtype) -> None:
    refused = 0
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        lift = seed % 4 * 0.02  # up to 6 % more probability than there is
        scores = (3.0 * torch.randn(1, 20, 30, generator=generator)).log_softmax(2).add(lift).to(kind)
        report = ctc_check(scores, torch.tensor([[1, 2]]), normalize=False)
        words = refusal(scores)
        assert report.findings == ((Finding(0, "normalization", words),) if words else ())
        assert lift or report.ok
        refused += not report.ok
    assert refused >= 10


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_raw_scores_are_no_log_probabilities(kind: torch.dtype) -> None:
    report = ctc_check(logits().to(kind), TARGETS, FRAMES, LABELS, normalize=False)
    assert report.counts == {"normalization": 4, "label": 1, "length": 1}


def test_a_wrong_form_is_an_error_and_no_finding() -> None:
    with pytest.raises(errors.ShapeError, match="targets"):
        ctc_check(torch.zeros(2, 3, 4), torch.tensor([[1]]))
    with pytest.raises(errors.DTypeError, match="found ndarray"):
        ctc_check(np.zeros((2, 3, 4)), torch.tensor([[1], [1]]))  # type: ignore[arg-type]
    with pytest.raises(errors.LabelError, match="blank"):
        ctc_check(torch.zeros(1, 3, 4), torch.tensor([[1]]), blank=4)
