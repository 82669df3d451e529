"""How near a gradient is to a combination of others."""

from __future__ import annotations

import torch
from torch import Tensor

NEGATIVE = -1e-2
"""Factors of the second vector and of later ones may be below 0 by rounding."""


def residual(vector: Tensor, *basis: Tensor) -> float:
    """Measure what the best combination of some vectors leaves of a vector.

        min over factors a of |v - sum_k a_k b_k| / |v|

    Args:
        vector: v, shape (n,).
        basis: b_k, each of shape (n,).

    Returns:
        The relative norm; infinite if the best factor of the first is not positive, or another one is negative.
    """
    columns = torch.stack(basis, 1)
    gram, right = columns.T @ columns, columns.T @ vector
    factors = torch.linalg.lstsq(gram.cpu(), right.cpu()[:, None], driver="gelsd").solution[:, 0].to(vector)
    if factors[0] <= 0 or (factors < NEGATIVE).any():
        return float("inf")
    return float((vector - columns @ factors).norm() / vector.norm())
