"""Search for a problem that violates a law, and minimise it, with Hypothesis."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from seqloss.verify.problem import Problem, frames_required, make_problem

FEW_SIZES = ((1, 5), (3, 5))
"""Rows and classes of the standard problems, for implementations that compile for each shape."""


class _TimeIsUp(BaseException):
    """Ends a search at once. Hypothesis would catch an Exception, and go on shrinking."""


@st.composite
def draw_problem(draw: st.DrawFn, few_shapes: bool = False) -> Problem:
    """A strategy for small feasible problems with finite scores."""
    sizes = st.sampled_from(FEW_SIZES) if few_shapes else st.tuples(st.integers(1, 3), st.integers(2, 5))
    batch, classes = draw(sizes)
    time = draw(st.integers(1, 7))
    blank = draw(st.sampled_from([0, classes - 1] if few_shapes else [0, 0, classes - 1, classes // 2]))
    letters = [k for k in range(classes) if k != blank]
    rows, frames = [], []
    for _ in range(batch):
        row = draw(st.lists(st.sampled_from(letters), min_size=1, max_size=3))
        while frames_required(row) > time:
            row = row[:-1]
        rows.append(row)
        frames.append(time - draw(st.integers(0, time - frames_required(row))))
    halves = st.lists(st.integers(-6, 6), min_size=time * classes, max_size=time * classes)
    logits = np.array([draw(halves) for _ in range(batch)], np.float64).reshape(batch, time, classes) / 2
    return make_problem(logits, rows, frames, blank=blank)


def find_violating_problem(
    violates: Callable[[Problem], bool], examples: int, seconds: float, seed: int, few_shapes: bool
) -> tuple[Problem | None, int]:
    """Search for a problem that violates a law.

    Args:
        violates: whether a problem violates the law.
        examples: number of problems to draw.
        seconds: time limit for drawing; minimising can take as long again.
        seed: of the random problems.
        few_shapes: draw problems of few shapes.

    Returns:
        the smallest violating problem that was found, or None, and the number of problems that were checked.
    """
    until, checked, smallest = time.monotonic() + seconds, 0, None
    known: dict[bytes, bool] = {}

    def check(problem: Problem) -> bool:
        nonlocal checked, smallest
        key = repr(problem).encode()
        if time.monotonic() > until + (seconds if smallest is not None else 0.0):
            raise _TimeIsUp
        if key not in known:
            checked += 1
            known[key] = violates(problem)
            smallest = problem if known[key] else smallest
        return known[key]

    options = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        return find(draw_problem(few_shapes), check, settings=options, random=random.Random(seed)), checked
    except (NoSuchExample, Flaky, _TimeIsUp):  # the last violation is the smallest
        return smallest, checked
