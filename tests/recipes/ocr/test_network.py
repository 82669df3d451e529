"""The OCR network: its frames, and that padding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss.errors import RunError
from seqloss.recipes.ocr.data import frames_of, stack_lines
from seqloss.recipes.ocr.network import Network
from seqloss.training.checkpoints import check_weights


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(5, 32).eval()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 30, 63])
def test_a_line_reads_the_same_alone_and_in_a_padded_batch(network: Network, width: int) -> None:
    rng = np.random.default_rng(width)
    line, longer = (rng.integers(0, 256, (32, w), np.uint8) for w in (width, 97))
    with torch.no_grad():
        alone, frames = network(*stack_lines([line]))
        together, counts = network(*stack_lines([longer, line]))
    assert counts.tolist() == [frames_of(97), frames.item()]
    assert torch.allclose(together[1, : frames.item()], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", range(1, 20))
def test_frames_are_those_that_the_check_counts_on(network: Network, width: int) -> None:
    with torch.no_grad():
        logits, frames = network(*stack_lines([np.zeros((32, width), np.uint8)]))
    assert logits.shape[1] == frames.item() == frames_of(width)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(RunError, match="weights are not those of this network"):
        check_weights(Network(5, 16), Network(6, 16).state_dict())
