"""Floating arguments as JAX arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss import contract
from seqloss.errors import wrong_dtype
from seqloss.numpy.arrays import COMPUTED_IN


def read_floats(name: str, values: Any, lengths: str = "") -> tuple[jax.Array, str]:
    """Convert to float32 or float64; also return the name of the original type.

    Args:
        name: of the argument.
        values: a JAX array, traced or not, a NumPy array, or nested lists.
        lengths: see `contract.as_array`.

    Raises:
        DTypeError: the element type is not a supported floating type.
        ShapeError: the rows have different lengths.
    """
    array = values if isinstance(values, jax.Array) else contract.as_array(name, values, lengths)
    kind = array.dtype.name
    if kind not in COMPUTED_IN or not np.dtype(array.dtype).isnative:
        raise wrong_dtype(name, array.dtype, "float16, bfloat16, float32 or float64")
    array = jnp.asarray(array)
    return array.astype(COMPUTED_IN[array.dtype.name]), kind
