"""Anomalies that are planted in windows of normal data, to measure whether they are found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def spike(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One or two steps far off."""
    found = part.copy()
    place = int(rng.integers(0, max(1, len(part) - 1)))
    found[place : place + int(rng.integers(1, 3))] += rng.choice([-1, 1]) * rng.uniform(1.5, 3)
    return found


def shift(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All steps displaced."""
    return part + rng.choice([-1, 1]) * rng.uniform(0.75, 1.5)


def stuck(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first step, repeated, as of a sensor that hangs."""
    return np.full_like(part, part[0])


def noise(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random numbers instead of the signal."""
    return rng.normal(size=len(part)).astype(part.dtype)


KINDS: dict[str, Kind] = {"spike": spike, "shift": shift, "stuck": stuck, "noise": noise}
"""Each takes the steps (steps,) of one channel, in deviations from its mean."""


def plant_anomaly(window: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A copy of a window with one anomaly in one channel.

    Args:
        window: (steps, channels), in deviations from the mean of each channel.
        rng: chooses kind, channel, place and length: from an eighth to three eighths of the window.

    Returns:
        the copy; and which steps are anomalous, (steps,).

    Example:
        >>> import numpy as np
        >>> found, anomalous = plant_anomaly(np.zeros((16, 2), np.float32), np.random.default_rng(3))
        >>> bool(anomalous.any()), found.shape, bool((found[~anomalous] == 0).all())
        (True, (16, 2), True)
    """
    steps = len(window)
    length = max(1, int(rng.integers(max(1, steps // 8), max(2, 3 * steps // 8 + 1))))
    start, channel = int(rng.integers(0, steps - length + 1)), int(rng.integers(window.shape[1]))
    kind = list(KINDS.values())[int(rng.integers(len(KINDS)))]
    found, anomalous = window.copy(), np.zeros(steps, bool)
    found[start : start + length, channel] = kind(window[start : start + length, channel], rng)
    anomalous[start : start + length] = True
    return found, anomalous
