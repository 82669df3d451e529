"""Arguments of losses of single steps: checked where Python sees their values, then JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from seqloss import contract
from seqloss.formulas.masked import Steps, find_steps
from seqloss.jax.arrays import host_value, narrow
from seqloss.jax.namespace import XP

Mask: TypeAlias = ArrayLike | Sequence[Sequence[bool | int]]
"""Which steps are real: a JAX array, traced or not, a NumPy array, or nested lists."""

Numbers: TypeAlias = ArrayLike | Sequence[Sequence[object]]
"""Numbers (batch, time) or (batch, time, ...): a JAX array, traced or not, a NumPy array, or nested lists."""


def seen(name: str, values: Any) -> Any:
    """An argument as the contract checks it: an array, a `Form` if its values are not on the host, or None."""
    if values is None:
        return None
    if not isinstance(values, jax.Array):
        return contract.as_step_array(name, values)
    known = host_value(values)
    return contract.form_of(values.dtype, values.shape) if known is None else known


def place_steps(x: jax.Array, lengths: Any, mask: Any) -> Steps:
    """Which steps of an array (batch, time, ...) are real."""
    counts = None if lengths is None else place_integers(lengths)
    return find_steps(XP, x, counts, None if mask is None else jnp.asarray(mask) != 0)


def place_integers(values: Any) -> jax.Array:
    """Labels or lengths as int32."""
    return narrow(values if isinstance(values, jax.Array) else np.asarray(values))
