"""Tolerances, from the rounding of a computation in log space.

The logarithms of path sums are as large as M = Σ_t max_k |log y_t(k)| over the classes that the row uses. The log-add
of each frame rounds a number of this size, with an error of at most u. After T frames the error of a loss is at most

    ε = u (8 + T) (1 + M)

The 8 covers the softmax, whose logarithms have errors of a few units, and the final sum. A posterior is
exp(log α + log β - log P). It has three such errors, so the tolerance of posterior and gradient is 3 ε + 8 u.

u is the unit roundoff of the type in which the implementation computes: float32 for half types, whose gradients are
also rounded to the half type. For 4,000 frames the tolerance is 0.1 in float32; for most problems of the laws it is
1e-13 in float64. It is doubled where two results are compared.
"""

from __future__ import annotations

import numpy as np

from seqloss.verify.problem import Problem

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-24, "float16": 2.0**-24}
OUTPUT_ROUNDING = {"float64": 0.0, "float32": 0.0, "bfloat16": 2.0**-8, "float16": 2.0**-11}
"""Error of rounding the gradient to the type of the logits."""


def largest_path_score(problem: Problem) -> np.ndarray:
    """M of each row, (batch,)."""
    sizes = np.zeros(len(problem.logits))
    for n, labels in enumerate(problem.label_rows()):
        scores = problem.logits[n, : problem.logit_lengths[n]]
        if scores.size == 0:
            continue
        with np.errstate(invalid="ignore"):
            top = scores.max(axis=1, keepdims=True)
            below = top - scores[:, [problem.blank, *labels]]
            whole = np.abs(np.where(np.isfinite(top), top, 0.0)).max()  # rounded when the maximum is subtracted
        sizes[n] = np.where(np.isfinite(below), below, 0.0).max(axis=1).sum() + whole
        sizes[n] += len(scores) * np.log(scores.shape[1])
    return sizes


def loss_tolerance(problem: Problem, dtype: str) -> np.ndarray:
    """ε of each row, (batch,)."""
    return UNIT_ROUNDOFF[dtype] * (8 + problem.logit_lengths) * (1 + largest_path_score(problem))


def gradient_tolerance(problem: Problem, dtype: str) -> np.ndarray:
    """Tolerance for each entry of the gradient of a row, (batch,)."""
    weight = 1.0 if problem.upstream is None else np.abs(problem.upstream)
    return weight * (3 * loss_tolerance(problem, dtype) + 8 * UNIT_ROUNDOFF[dtype] + OUTPUT_ROUNDING[dtype])
