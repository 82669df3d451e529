"""The explicit check of probabilities in a JAX array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from jax.typing import ArrayLike

import seqloss.numpy as host
from seqloss.jax.arrays import to_numpy
from seqloss.numpy import Report

Probabilities: TypeAlias = ArrayLike | Sequence[float] | Sequence[Sequence[float]]
"""An array with any number of axes, or nested lists."""


def check_probabilities(x: Probabilities, axis: int = -1) -> Report:
    """Find the rows that are no probabilities, with the likely cause for each.

    A row is all entries along the axis of the classes. It is valid if they are from 0 to 1 and add up to 1, within 0.01
    (a softmax in bfloat16 is off by 0.004). Otherwise it is one of

        "log-probabilities"    no entry is above 0, and their exponentials add up to 1
        "scores"               other entries outside [0, 1]: raw scores, before softmax
        "axis"                 entries in [0, 1] that add up to 1 along another axis, in the whole array
        "normalization"        entries in [0, 1] with another sum
        "non-finite"           NaN or +inf

    Losses that take probabilities raise an error for the first such row only, and return NaN for it where they cannot
    see values. This function reports all rows and raises nothing for values.

    It copies the array to the host.

    Args:
        x: what should be probabilities, any shape with at least one axis, float16, bfloat16, float32 or, if
            `jax_enable_x64` is set, float64. Not traced: call this function outside jit.
        axis: the axis of the classes; a negative one counts from the last.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row. Rows are counted over all other axes; the cause names the position.

    Raises:
        ShapeError: x has no axis, no classes, or its rows have uneven lengths.
        DTypeError: x has an unsupported element type.
        OptionError: `axis` is no axis of x.
        TypeError: x is traced.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import check_probabilities
        >>> check_probabilities(jnp.array([[0.5, 0.5], [2.0, -1.0]])).counts
        {'scores': 1}
    """
    return host.check_probabilities(to_numpy(x), axis)
