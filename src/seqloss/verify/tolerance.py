"""How far an honest computation in log space may be from the truth: the one table of tolerances.

A path sum in logs carries numbers as large as M = Σ_t max_k |log y_t(k)| over the classes that the row reads. Each
frame rounds a log-add: half a unit u of a number up to M. So after T frames a loss may be off by

    ε = u (8 + T) (1 + M)

where the 8 is for the softmax, whose logs are off by a few units, and for the last sum. A posterior is
exp(log α + log β - log P): three such errors, so that it and the gradient may be off by 3 ε + 8 u. u is half the
spacing of the type in which the implementation computes: float32 for half types, whose gradients may be off by a
rounding of their own on top. That is generous to 4,000 frames (0.1 in float32), and 1e-13 for what most laws are tried
on. Where two answers are compared the allowance is doubled.
"""

from __future__ import annotations

import numpy as np

from seqloss.verify.problem import Problem

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-24, "float16": 2.0**-24}
OWN = {"float64": 0.0, "float32": 0.0, "bfloat16": 2.0**-8, "float16": 2.0**-11}
"""What rounding the gradient to the scores' own type adds."""


def magnitude(problem: Problem) -> np.ndarray:
    """M of each row (batch,): the largest number that logarithms of its path sums may reach."""
    sizes = np.zeros(len(problem.logits))
    for n, labels in enumerate(problem.label_rows()):
        scores = problem.logits[n, : problem.logit_lengths[n]]
        if scores.size == 0:
            continue
        with np.errstate(invalid="ignore"):
            top = scores.max(axis=1, keepdims=True)
            below = top - scores[:, [problem.blank, *labels]]
            whole = np.abs(np.where(np.isfinite(top), top, 0.0)).max()  # subtracting the maximum rounds it
        sizes[n] = np.where(np.isfinite(below), below, 0.0).max(axis=1).sum() + whole
        sizes[n] += len(scores) * np.log(scores.shape[1])
    return sizes


def of_loss(problem: Problem, dtype: str) -> np.ndarray:
    """ε of each row, (batch,)."""
    return UNIT[dtype] * (8 + problem.logit_lengths) * (1 + magnitude(problem))


def of_gradient(problem: Problem, dtype: str) -> np.ndarray:
    """(batch,), for each entry of a row's gradient."""
    weight = 1.0 if problem.upstream is None else np.abs(problem.upstream)
    return weight * (3 * of_loss(problem, dtype) + 8 * UNIT[dtype] + OWN[dtype])
