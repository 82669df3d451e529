"""The losses of some points as one expression, which a framework differentiates, any number of times.

Every part stays finite where it is not used, so that no derivative is 0 times infinity.
"""

from __future__ import annotations

from typing import Any

from seqloss.formulas.namespace import Namespace

Array = Any


def point_losses(
    xp: Namespace, rows: Array, row_labels: Array, row_numbers: Array, points: Array, labels: Array
) -> Array:
    """The losses of `rows`, which are some of the points; (rows,). 0 for a point whose label occurs once.

    Args:
        rows: (rows, dimensions), of `scale_points`.
        row_labels: (rows,).
        row_numbers: (rows,), their places among the points, int32.
        points: all of them, (points, dimensions).
        labels: (points,).
    """
    count = xp.size(points, 0)
    squares, row_squares = xp.sum(points * points, 1), xp.sum(rows * rows, 1)
    scores = 2 * xp.matmul(rows, xp.transpose(points, (1, 0))) - row_squares - xp.transpose(squares, (1, 0))
    itself = row_numbers[:, None] == xp.arange(count)[None, :]
    same = row_labels[:, None] == labels[None, :]
    log_same, has_same = _log_sum_exp(xp, scores, same & ~itself)
    log_other, has_other = _log_sum_exp(xp, scores, ~same)
    used = has_same & has_other
    losses = xp.softplus(xp.where(used, log_other - log_same, 0.0))
    nothing = 0 * row_squares * xp.sum(squares, 0)  # NaN if any point is
    return (xp.where(used, losses, 0.0) + nothing)[:, 0]


def _log_sum_exp(xp: Namespace, scores: Array, chosen: Array) -> tuple[Array, Array]:
    """(rows, 1): log of the sum of exp over the chosen scores, 0 without any; and whether there are any."""
    exists = xp.sum(xp.as_float(chosen, scores), 1) > 0
    largest = xp.where(exists, xp.max(xp.stop_gradient(xp.where(chosen, scores, float("-inf"))), 1), 0.0)
    terms = xp.where(chosen, xp.exp(xp.where(chosen, scores - largest, 0.0)), 0.0)
    return largest + xp.log(xp.where(exists, xp.sum(terms, 1), 1.0)), exists
