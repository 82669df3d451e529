"""What the soft nearest neighbour loss asks of JAX arrays beyond points and labels."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss import contract
from seqloss.jax.arrays import host_value


def warn_of_lone_points(function: str, labels: Any) -> None:
    """See `seqloss.contract.warn_of_lone_points`; traced labels are not checked."""
    known = host_value(labels)
    if known is not None:
        contract.warn_of_lone_points(function, np.asarray(known))


def read_temperature(temperature: Any, points: jax.Array) -> jax.Array:
    """A scalar in the type that the points are computed in, checked where it is known.

    Raises:
        ShapeError: it is no scalar.
        OptionError: its value is known on the host, and not positive.
    """
    if isinstance(temperature, jax.Array | np.ndarray):
        contract.check_temperature_shape(temperature.shape)
        known = host_value(temperature)
        if known is not None:
            contract.check_temperature(float(np.asarray(known).reshape(())))
        temperature = temperature.reshape(())
    else:
        contract.check_temperature(temperature)
    return jnp.asarray(temperature, points.dtype)
