"""Times of several ways to do the same, taken in turns, so that a change of the machine's speed meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Figures = dict[str, dict[str, Any]]
"""Of each way: its median time in milliseconds and the quartiles, and whatever else is known of it."""


def time_in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> Figures:
    """Call each way once without a measurement, then once in each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, call in ways.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(1e3 * (time.perf_counter() - start))
    found = {}
    for name, taken in times.items():
        low, median, high = np.percentile(taken, [25, 50, 75]).round(3).tolist()
        found[name] = {"milliseconds": median, "quartiles": [low, high]}
    return found
