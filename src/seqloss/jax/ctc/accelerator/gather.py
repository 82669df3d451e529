"""Entries along an axis, at places that are known to lie on it: nothing is spent on checking them again."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def picked(x: jax.Array, places: jax.Array, axis: int) -> jax.Array:
    """`jnp.take_along_axis`."""
    return jnp.take_along_axis(x, places, axis, mode="promise_in_bounds")
