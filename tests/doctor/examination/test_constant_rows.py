"""Rows without content are found among others, unless they can be so by chance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqloss.doctor.batches.constant_rows import find_constant


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("has_steps", [True, False])
def test_a_silent_row_that_was_normalised_is_found(has_steps: bool) -> None:
    """Each feature has a number of its own."""
    rows = [noise(20 + k, 3, seed=k) for k in range(20)]
    rows[4] = torch.tensor([-2.5, 0.5, 1.0]).expand(24, 3)
    assert find_constant(rows, has_steps=has_steps) == [4]


def test_rows_of_one_number_are_found() -> None:
    rows = [noise(20, seed=k) for k in range(20)]
    rows[7] = torch.zeros(20)
    assert find_constant(rows, has_steps=True) == [7]


def test_events_that_are_rare_can_be_absent() -> None:
    rows = [(torch.rand(24, 3, generator=torch.Generator().manual_seed(k)) < 0.02).float() for k in range(200)]
    rows[3] = torch.zeros(24, 3)
    assert find_constant(rows, has_steps=True) == []


def test_a_level_can_be_held() -> None:
    rows = [noise(4, 2, seed=k).repeat_interleave(8, 0) for k in range(50)]
    rows[3] = torch.ones(32, 2)
    assert find_constant(rows, has_steps=True) == []


def test_channels_can_be_equal() -> None:
    rows = [noise(2, 400, seed=k) for k in range(20)]
    rows[3] = rows[3][:1].expand(2, 400)
    assert find_constant(rows, has_steps=False) == []


def test_many_rows_can_be_the_same_in_all_steps() -> None:
    rows = [noise(1, 3, seed=k).expand(20, 3) if k % 4 == 0 else noise(20, 3, seed=k) for k in range(40)]
    assert find_constant(rows, has_steps=True) == []
