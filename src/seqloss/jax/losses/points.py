"""Points and labels of the losses that compare the rows of a batch; and the reduction of these losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from seqloss import contract
from seqloss.jax.arrays import host_value
from seqloss.numpy.losses.points import read_labels

Points: TypeAlias = ArrayLike | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): a JAX array, traced or not, a NumPy array, or nested lists."""

Labels: TypeAlias = ArrayLike | Sequence[int]
"""One integer for each row (batch,): a JAX array, traced or not, a NumPy array, or a list."""


def as_labels(labels: Any, count: int, of: str = "embeddings") -> jax.Array:
    """Convert labels to integers of 32 bits that are equal where the labels are.

    Known labels are numbered first, because JAX would cut off all but their last 32 bits.

    Raises:
        DTypeError, ShapeError: see `contract.check_point_labels`.
    """
    known = host_value(labels)
    if known is None:
        contract.check_point_labels(contract.form_of(labels.dtype, labels.shape), count, of)
        return labels
    return jnp.asarray(np.unique(read_labels(known, count, of), return_inverse=True)[1].astype(np.int32))


def reduce_losses(losses: jax.Array, count: jax.Array | float, reduction: str, denominator: float | None) -> jax.Array:
    """Reduce losses of points, pairs or triplets; `count` is what the mean divides by, at least 1."""
    if reduction == "none":
        return losses
    divisor = count if reduction == "mean" else denominator or 1.0
    return jnp.sum(losses) / jnp.asarray(divisor, losses.dtype)
