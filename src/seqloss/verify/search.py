"""Looking for a problem that breaks a law, and making it small: Hypothesis draws and shrinks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from seqloss.verify.problem import Problem, required
from seqloss.verify.problem import problem as make

FEW_SIZES = ((1, 5), (3, 5))
"""Rows and classes for implementations that compile for each new shape: those that ordinary problems have."""


@st.composite
def problems(draw: st.DrawFn, few_shapes: bool = False) -> Problem:
    """Ordinary problems: small, finite, with a path that fits; simplest where Hypothesis shrinks to."""
    sizes = st.sampled_from(FEW_SIZES) if few_shapes else st.tuples(st.integers(1, 3), st.integers(2, 5))
    batch, classes = draw(sizes)
    time = draw(st.integers(1, 7))
    blank = draw(st.sampled_from([0, classes - 1] if few_shapes else [0, 0, classes - 1, classes // 2]))
    letters = [k for k in range(classes) if k != blank]
    rows, frames = [], []
    for _ in range(batch):
        row = draw(st.lists(st.sampled_from(letters), min_size=1, max_size=3))
        while required(row) > time:
            row = row[:-1]
        rows.append(row)
        frames.append(time - draw(st.integers(0, time - required(row))))
    halves = st.lists(st.integers(-6, 6), min_size=time * classes, max_size=time * classes)
    logits = np.array([draw(halves) for _ in range(batch)], np.float64).reshape(batch, time, classes) / 2
    return make(logits, rows, frames, blank=blank)


def look(
    broken: Callable[[Problem], bool], examples: int, seconds: float, seed: int, few_shapes: bool
) -> tuple[Problem | None, int]:
    """The smallest problem found that breaks, or None; and how many were looked at.

    Args:
        broken: whether a problem breaks the law.
        examples: how many to draw. seconds: when to stop drawing; shrinking may take as long again.
        seed: of the drawing.
        few_shapes: draw few sizes.
    """
    until, looked, smallest = time.monotonic() + seconds, 0, None
    known: dict[bytes, bool] = {}

    def breaks(problem: Problem) -> bool:
        nonlocal looked, smallest
        key = repr(problem).encode()
        if key not in known and time.monotonic() < until + (seconds if smallest is not None else 0.0):
            looked += 1
            known[key] = broken(problem)
            smallest = problem if known[key] else smallest
        return known.get(key, False)

    options = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        return find(problems(few_shapes), breaks, settings=options, random=random.Random(seed)), looked
    except (NoSuchExample, Flaky):  # what breaks only now and then is told as it was last seen
        return smallest, looked
