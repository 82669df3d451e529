"""A training that is watched ends with the same weights, to the bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from .trainings import Network, make_batches, sgd, squared_error, train


def train_without(model: Network, window: int) -> None:
    optimizer = sgd(model)
    torch.manual_seed(2)
    batches = make_batches()
    for number in range(12 * window):
        (squared_error(model, batches[number % len(batches)]) / window).backward()
        if (number + 1) % window == 0:
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("window", [1, 3])
def test_weights_buffers_and_random_states_are_the_same_bits(window: int, held_out: bool) -> None:
    watched, plain = Network(), Network()
    random.seed(5), np.random.seed(5)
    numbers = random.getstate(), str(np.random.get_state())
    looks = train(watched, window=window, held_out=make_batches()[-1] if held_out else None)._looks.count
    assert looks >= 3
    after = torch.rand(3)
    train_without(plain, window)
    assert all(map(torch.equal, watched.state_dict().values(), plain.state_dict().values()))
    assert torch.equal(after, torch.rand(3))
    assert numbers == (random.getstate(), str(np.random.get_state()))
    assert watched.training


def test_hooks_are_removed_at_the_end() -> None:
    model = Network()
    optimizer = sgd(model)
    train(model, optimizer=optimizer)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not model._forward_pre_hooks
    assert not model._forward_hooks
