"""`ctc_posteriors`: the NumPy door's, as tensors without a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import seqloss.numpy as host
from seqloss import errors
from seqloss.torch import ctc_loss, ctc_posteriors

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def leaf(kind: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).to(kind).requires_grad_()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_they_have_the_bits_of_the_numpy_door(kind: torch.dtype, normalize: bool) -> None:
    x = leaf(kind).detach() if normalize else leaf().detach().log_softmax(2).sub(0.02).to(kind)
    found = ctc_posteriors(x.requires_grad_(), TARGETS, FRAMES, LABELS, normalize=normalize)
    computed = torch.promote_types(kind, torch.float32)
    arrays = (values.numpy() for values in (TARGETS, FRAMES, LABELS))
    expected = host.ctc_posteriors(x.detach().to(computed).numpy(), *arrays, normalize=normalize)
    assert found.dtype == computed
    assert torch.equal(found, torch.from_numpy(expected))
    assert not found.requires_grad
    assert not found.signbit().any()


def test_softmax_less_posterior_is_the_losss_gradient() -> None:
    x = leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    posteriors = ctc_posteriors(x, TARGETS, FRAMES, LABELS)
    used = torch.arange(7) < FRAMES[:, None]
    torch.testing.assert_close(posteriors.sum(2), used.double(), rtol=1e-14, atol=0)
    softmax = x.detach().softmax(2) * used[:, :, None]
    torch.testing.assert_close(softmax - posteriors, x.grad, rtol=1e-12, atol=1e-15)


def test_a_row_that_no_path_fits_is_all_0_or_refused() -> None:
    frames = torch.tensor([2, 5])
    found = ctc_posteriors(leaf(), TARGETS, frames, LABELS)
    assert not found[0].any()
    assert torch.equal(found[1], ctc_posteriors(leaf(), TARGETS, FRAMES, LABELS)[1])
    with pytest.raises(errors.InfeasibleError, match="row 0"):
        ctc_posteriors(leaf(), TARGETS, frames, LABELS, infeasible="raise")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_log_probabilities_rounded_to_a_half_type_are_accepted_and_raw_scores_are_not(kind: torch.dtype) -> None:
    targets = torch.tensor([[1, 2]])
    for seed in range(20):
        scores = 3.0 * torch.randn(1, 20, 30, generator=torch.Generator().manual_seed(seed))
        assert ctc_posteriors(scores.log_softmax(2).to(kind), targets, normalize=False).isfinite().all()
        with pytest.raises(errors.NormalizationError):
            ctc_posteriors(scores.to(kind), targets, normalize=False)


REFUSED: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"targets": [[1, 2, 2], [3, 1, 0]], "target_lengths": None}, errors.LabelError),
    ({"logit_lengths": [7, 8]}, errors.LengthError),
    ({"targets": [[1.0], [2.0]]}, errors.DTypeError),
    ({"targets": [[1]]}, errors.ShapeError),
    ({"blank": 4}, errors.LabelError),
    ({"infeasible": "skip"}, errors.OptionError),
]


@pytest.mark.parametrize(("change", "kind"), REFUSED)
def test_what_the_loss_refuses_is_refused_with_the_same_words(change: dict[str, Any], kind: type[Exception]) -> None:
    arguments = {"targets": TARGETS, "logit_lengths": FRAMES, "target_lengths": LABELS, **change}
    said = []
    for function in (ctc_loss, ctc_posteriors):
        with pytest.raises(kind) as caught:
            function(leaf(), **arguments)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_without_a_look_a_bad_row_is_nan() -> None:
    found = ctc_posteriors(leaf(), TARGETS, FRAMES, torch.tensor([3, 3]), validate=False)
    assert found[1, :5].isnan().all()
    assert found[0].isfinite().all()
