"""A backward pass inside of autocast rounds no gradient of the losses of pairs to a half type."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from seqloss.torch import CosineTriplet, PairwiseKLHinge

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("loss", [PairwiseKLHinge(), CosineTriplet(), CosineTriplet(negatives="hardest")], ids=repr)
def test_gradient_is_that_outside_of_autocast(loss: Callable[..., torch.Tensor]) -> None:
    embeddings = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (expected,) = torch.autograd.grad(loss(embeddings, LABELS), embeddings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (found,) = torch.autograd.grad(loss(embeddings, LABELS), embeddings)
    assert expected.any()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
