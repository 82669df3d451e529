"""float16 and bfloat16: computed in float32, answered in float32, rounded once."""

from __future__ import annotations

import numpy as np

from . import problems
from .door import Door
from .tolerances import STORED

PROBLEM = problems.random(4, 40, 12, 8)


def test_the_loss_of_each_type_comes_in_the_type_that_it_is_computed_in(door: Door) -> None:
    assert door.loss(PROBLEM.logits, *PROBLEM.args).dtype == door.computed_in


def test_the_loss_is_that_of_the_rounded_scores_in_float32(half_door: Door) -> None:
    rounded = half_door.rounded(PROBLEM.logits)
    assert (half_door.loss(PROBLEM.logits, *PROBLEM.args) == half_door.of("float32").loss(rounded, *PROBLEM.args)).all()


def test_upstream_is_folded_in_before_the_only_rounding(half_door: Door) -> None:
    upstream = np.array([1.0, -1 / 3, 1 / 7, 5.3])
    rounded = half_door.rounded(PROBLEM.logits)
    _, exact = half_door.of("float32").loss_and_grad(rounded, *PROBLEM.args, upstream=upstream)
    _, found = half_door.loss_and_grad(PROBLEM.logits, *PROBLEM.args, upstream=upstream)
    assert (found == half_door.rounded(exact)).all()
    unit, least = STORED[half_door.dtype]
    assert (np.abs(found - exact) <= unit * np.abs(exact) + least).all()


def test_a_loss_scale_saves_what_float16_alone_would_lose(half_door: Door) -> None:
    problem = problems.sure(22.0, time=60, labels=10)
    rounded = half_door.rounded(problem.logits)
    _, exact = half_door.of("float32").loss_and_grad(rounded, *problem.args)
    assert np.abs(exact).max() < 2.0**-24  # every entry is under float16's smallest
    _, scaled = half_door.loss_and_grad(rounded, *problem.args, upstream=[2.0**20])
    np.testing.assert_array_equal(scaled, half_door.rounded(exact * 2.0**20))
    assert scaled.any(axis=2).all()
