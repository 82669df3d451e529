"""Of greedy decoding in torch, what the contract suite, which runs on every frontend, does not hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss import errors
from seqloss.torch import ctc_greedy


def test_a_graph_does_not_matter() -> None:
    logits = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    plain, with_graph = ctc_greedy(logits), ctc_greedy(logits.clone().requires_grad_())
    assert [row.labels.tolist() for row in with_graph] == [row.labels.tolist() for row in plain]
    assert [row.score for row in with_graph] == [row.score for row in plain]


def test_an_array_is_no_tensor() -> None:
    with pytest.raises(errors.DTypeError, match=r"logits: expected a torch.Tensor, found ndarray"):
        ctc_greedy(np.zeros((1, 2, 3)))  # type: ignore[arg-type]
