"""A synthetic table of several channels over time, like readings of a machine."""

from __future__ import annotations

import numpy as np

CHANNELS = ("speed", "load", "pressure", "temperature")


def make_signals(steps: int, seed: int) -> np.ndarray:
    """Readings of a machine with a cycle of about 25 steps, always the same for a seed.

    Speed and load repeat in each cycle, at a pace and strength that drift. Pressure follows their product, and
    temperature follows the load with a delay. All have noise.

    Args:
        steps: rows.
        seed: of everything random.

    Returns:
        (steps, 4), the channels `CHANNELS`.

    Example:
        >>> make_signals(100, seed=0).shape, bool((make_signals(100, 0) == make_signals(100, 0)).all())
        ((100, 4), True)
    """
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(_drift(rng, steps, 0.04, 0.03))
    strength = _drift(rng, steps, 1.0, 0.1)
    speed = strength * np.sin(phase)
    load = strength * np.tanh(3 * np.sin(phase + 1.0 + 0.3 * np.sin(2 * phase)))
    pressure = speed * load
    temperature = np.zeros(steps)
    for step in range(1, steps):
        temperature[step] = 0.85 * temperature[step - 1] + 0.15 * load[step]
    clean = np.stack([10 + 2 * speed, 50 + 20 * load, 3 + pressure, 60 + 5 * temperature], axis=1)
    return clean + 0.05 * clean.std(0) * rng.normal(size=clean.shape)


def _drift(rng: np.random.Generator, steps: int, middle: float, share: float) -> np.ndarray:
    """A number that wanders slowly around a middle, by a share of it."""
    walk = np.cumsum(rng.normal(size=steps + 200))
    smooth = walk[200:] - np.convolve(walk, np.ones(201) / 201, "same")[200:] if steps else walk[:0]
    return middle * (1 + share * np.tanh(smooth / 10))
