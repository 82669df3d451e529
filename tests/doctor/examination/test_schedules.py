"""Schedules that do not fit the training are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from .models import Reader, names


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (lambda step: max(0.0, 1 - step / 20), ["learning-rate-ends-early"]),
        (lambda step: (step + 1) / 200, ["warm-up-never-ends"]),
        (lambda step: 1 - step / 50, ["learning-rate-invalid"]),
        (lambda step: max(0.0, 1 - step / 100), []),
        (lambda step: 1.0, []),
    ],
)
def test_schedules_that_do_not_fit_the_training_are_named(factor: Callable[[int], float], expected: list[str]) -> None:
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    assert names(model, optimizer=optimizer, scheduler=schedule, steps=100) == expected
