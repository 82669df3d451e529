"""The learning rate schedule."""

from __future__ import annotations

import pytest

from seqloss.training.optim import OPTIMIZERS, warmup_then_cosine
from seqloss.training.settings import LEARNING_RATES


def test_the_rate_rises_for_a_tenth_and_falls_to_a_hundredth() -> None:
    factors = [warmup_then_cosine(step, 100) for step in range(101)]
    assert factors.index(1.0) == 9
    assert sorted(factors[:10]) == factors[:10]
    assert sorted(factors[10:], reverse=True) == factors[10:]
    assert factors[100] == pytest.approx(0.01)


def test_each_optimizer_has_a_learning_rate() -> None:
    assert OPTIMIZERS.keys() == LEARNING_RATES.keys()
