"""Small problems without edge cases: finite scores, feasible targets, at least one label."""

from __future__ import annotations

import numpy as np

from seqloss.verify.problem import Problem, make_problem


def standard_problems(few_shapes: bool = False) -> list[Problem]:
    """Rows of different lengths, repeated labels, a blank in the middle, a single row, a single frame, no spare frame.

    Args:
        few_shapes: fewer problems, all with five classes, for implementations that compile for each shape.

    Returns:
        the problems, always the same.
    """
    rng = np.random.default_rng(7)

    def scores(batch: int, time: int, classes: int) -> np.ndarray:
        return np.round(1.5 * rng.normal(size=(batch, time, classes)), 3)

    if few_shapes:
        return [
            make_problem(scores(3, 7, 5), [[2, 2, 3], [1], [4, 1]], [7, 4, 5]),
            make_problem(scores(1, 6, 5), [[1, 1, 2]]),
            make_problem(scores(2, 6, 5), [[0, 3], [1]], [6, 3], blank=4),
        ]
    return [
        make_problem(scores(3, 7, 5), [[2, 2, 3], [1], [4, 1]], [7, 4, 5]),
        make_problem(scores(1, 6, 3), [[1, 1, 2]]),
        make_problem(scores(2, 6, 4), [[0, 3], [1]], [6, 3], blank=2),
        make_problem(scores(1, 5, 4), [[1, 2]]),
        make_problem(scores(1, 3, 3), [[1, 2, 1]]),
        make_problem(scores(1, 1, 2), [[1]]),
    ]
