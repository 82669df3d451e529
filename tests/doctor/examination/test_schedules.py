"""Schedules that do not fit the training are named."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from seqloss.doctor import Findings, examine
from seqloss.doctor.bars import draw_bars

from .models import BATCHES, Reader, loss, names


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


def test_a_schedule_that_ends_early_is_drawn() -> None:
    """Its rates, as bars in Markdown and in a table, and as numbers in JSON."""
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / 20))
    findings = examine(model, BATCHES, loss, optimizer=optimizer, scheduler=schedule, steps=100)
    (found,) = findings
    assert list(found.curves["learning rate"])[:2] == [0.5, 0.475]
    assert found.drawn["learning rate"].startswith("0.5 █")
    assert found.drawn["learning rate"].endswith("▁▁▁ 0")
    assert f"* learning rate, over time: {found.drawn['learning rate']}" in findings.to_markdown()
    assert Findings.from_json(findings.to_json()) == findings


def test_bars_go_from_the_least_number_to_the_largest() -> None:
    assert draw_bars([2.0, math.nan, 4.0, 3.0]) == "▁ █▅"
    assert draw_bars([7.0] * 3) == "▁▁▁"
    assert len(draw_bars(range(1000), width=10)) == 10
