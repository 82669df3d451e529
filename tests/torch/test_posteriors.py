"""`ctc_posteriors`: the NumPy frontend's, as tensors without a graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import seqloss.numpy as host
from seqloss.torch import ctc_posteriors

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def leaf(kind: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).to(kind).requires_grad_()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_they_have_the_bits_of_the_numpy_frontend(kind: torch.dtype, normalize: bool) -> None:
    x = leaf(kind).detach() if normalize else leaf().detach().log_softmax(2).sub(0.02).to(kind)
    found = ctc_posteriors(x.requires_grad_(), TARGETS, FRAMES, LABELS, normalize=normalize)
    computed = torch.promote_types(kind, torch.float32)
    arrays = (values.numpy() for values in (TARGETS, FRAMES, LABELS))
    expected = host.ctc_posteriors(x.detach().to(computed).numpy(), *arrays, normalize=normalize)
    assert found.dtype == computed
    assert torch.equal(found, torch.from_numpy(expected))
    assert not found.requires_grad
    assert not found.signbit().any()
