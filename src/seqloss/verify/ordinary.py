"""Small problems with nothing unusual about them: finite scores, a path that fits, labels to read."""

from __future__ import annotations

import numpy as np

from seqloss.verify.problem import Problem, problem


def ordinary(few: bool = False) -> list[Problem]:
    """Uneven rows, repeats, a blank in the middle; and unless a few shall do, one row, one frame, no frame to spare."""
    rng = np.random.default_rng(7)

    def scores(batch: int, time: int, classes: int) -> np.ndarray:
        return np.round(1.5 * rng.normal(size=(batch, time, classes)), 3)

    if few:  # five classes throughout: each size costs a compilation
        return [
            problem(scores(3, 7, 5), [[2, 2, 3], [1], [4, 1]], [7, 4, 5]),
            problem(scores(1, 6, 5), [[1, 1, 2]]),
            problem(scores(2, 6, 5), [[0, 3], [1]], [6, 3], blank=4),
        ]
    return [
        problem(scores(3, 7, 5), [[2, 2, 3], [1], [4, 1]], [7, 4, 5]),
        problem(scores(1, 6, 3), [[1, 1, 2]]),
        problem(scores(2, 6, 4), [[0, 3], [1]], [6, 3], blank=2),
        problem(scores(1, 5, 4), [[1, 2]]),
        problem(scores(1, 3, 3), [[1, 2, 1]]),
        problem(scores(1, 1, 2), [[1]]),
    ]
