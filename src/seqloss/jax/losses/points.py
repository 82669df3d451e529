"""Arguments of the losses of pairs and triplets, as JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from seqloss import contract
from seqloss.errors import uneven_rows, wrong_dtype
from seqloss.jax.arrays import host_value
from seqloss.numpy.arrays import COMPUTED_IN
from seqloss.numpy.losses.points import read_labels

Points: TypeAlias = ArrayLike | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): a JAX array, traced or not, a NumPy array, or nested lists."""

RowLabels: TypeAlias = ArrayLike | Sequence[int]
"""One integer for each row (batch,): a JAX array, traced or not, a NumPy array, or a list."""


def read_floats(name: str, values: Any) -> tuple[jax.Array, str]:
    """Convert to float32 or float64; also return the name of the original type.

    Raises:
        DTypeError: the element type is not a supported floating type.
        ShapeError: the rows have different lengths.
    """
    if not isinstance(values, jax.Array):
        try:
            values = np.asarray(values)
        except ValueError:
            raise uneven_rows(name) from None
    kind = values.dtype.name
    if kind not in COMPUTED_IN or not np.dtype(values.dtype).isnative:
        raise wrong_dtype(name, values.dtype, "float16, bfloat16, float32 or float64")
    array = jnp.asarray(values)
    return array.astype(COMPUTED_IN[array.dtype.name]), kind


def as_labels(labels: Any, batch: int) -> jax.Array:
    """Convert labels to integers of 32 bits that are equal where the labels are.

    Known labels are numbered first, because JAX would cut off all but their last 32 bits.

    Raises:
        DTypeError, ShapeError: see `contract.check_row_labels`.
    """
    known = host_value(labels)
    if known is None:
        contract.check_row_labels(contract.form_of(labels.dtype, labels.shape), batch)
        return labels
    return jnp.asarray(np.unique(read_labels(known, batch), return_inverse=True)[1].astype(np.int32))


def reduce_losses(losses: jax.Array, count: jax.Array | float, reduction: str, denominator: float | None) -> jax.Array:
    """Reduce losses of pairs or triplets; `count` is what the mean divides by, at least 1."""
    if reduction == "none":
        return losses
    divisor = count if reduction == "mean" else denominator or 1.0
    return jnp.sum(losses) / jnp.asarray(divisor, losses.dtype)
