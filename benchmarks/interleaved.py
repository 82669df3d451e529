"""Times of several ways to do the same, taken in turns, so that a change of the machine's speed meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Figures = dict[str, dict[str, Any]]
"""Of each way: its median time in milliseconds and the quartiles, and whatever else is known of it."""


def seconds_in_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Call each way once without a measurement, then once in each round.

    Args:
        ways: what is called, by name.
        rounds: measured calls of each.
        clock: `time.process_time` counts this process alone.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, call in ways.items():
            start = clock()
            call()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def time_in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> Figures:
    """The median and the quartiles of each way."""
    found = {}
    for name, seconds in seconds_in_turns(ways, rounds).items():
        low, median, high = (1e3 * np.percentile(seconds, [25, 50, 75])).round(3).tolist()
        found[name] = {"milliseconds": median, "quartiles": [low, high]}
    return found
