"""At which steps a training is looked at, so that looking takes a fixed share of its time."""

from __future__ import annotations

import time

SHARE = 0.008
"""Of the time of a training."""

EXPECTED_STEPS = 1000
"""Steps that a training is taken to have if the caller does not say: what looking may cost at the beginning."""

FIRST = (1, 2, 3, 10, 30)
"""Faults of gradients show in the first three steps; what the model learns, later."""

GROWTH = 1.4
"""Of the number of a step from one look to the next."""


class Looks:
    """Decides whether the next step is looked at.

    Args:
        share: largest share of the training's time.
        steps: of the whole training; None if unknown.
    """

    def __init__(self, share: float = SHARE, steps: int | None = None) -> None:
        self.share, self.steps = share, steps or EXPECTED_STEPS
        self.spent = self.expected = self.step_time = 0.0
        self.next, self.count = 1, 0
        self._began: float | None = None
        self._last: float | None = None

    def wants(self, step: int) -> bool:
        """Whether to look at a step, numbered from 1."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        elif self._last is not None and step > FIRST[0]:
            found = now - self._last
            self.step_time = found if not self.step_time else min(found, 0.9 * self.step_time + 0.1 * found)
        self._last = now
        if step < self.next:
            return False
        if step > FIRST[2] and self.spent + self.expected > self.share * self._allowed(now):
            return False
        self.next = next((one for one in FIRST if one > step), max(step + 1, int(step * GROWTH)))
        self.count += 1
        return True

    def _allowed(self, now: float) -> float:
        """Seconds of training: those so far, or those that the whole training is expected to take."""
        assert self._began is not None
        return max(now - self._began - self.spent, self.steps * self.step_time)

    def took(self, seconds: float) -> None:
        """Count the seconds of a look."""
        self.spent += seconds
        self.expected = max(self.expected, seconds) if self.count <= len(FIRST) else 0.5 * (self.expected + seconds)
        if self._last is not None:
            self._last += seconds
