"""JAX's operations for the formulas of `seqloss.formulas`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.formulas.namespace import Namespace

LAYOUT = {4: (jnp.int32, 23, 127), 8: (jnp.int64, 52, 1023)}
"""By the bytes of a float: the integer type of this size, the first bit of the exponent, and the exponent's bias."""


class JaxNamespace:
    """JAX's `seqloss.formulas.namespace.Namespace`."""

    where: Any = staticmethod(jnp.where)
    maximum: Any = staticmethod(jnp.maximum)
    minimum: Any = staticmethod(jnp.minimum)
    exp: Any = staticmethod(jnp.exp)
    log: Any = staticmethod(jnp.log)
    log1p: Any = staticmethod(jnp.log1p)
    sqrt: Any = staticmethod(jnp.sqrt)
    softplus: Any = staticmethod(jax.nn.softplus)
    abs: Any = staticmethod(jnp.abs)
    round: Any = staticmethod(jnp.round)
    stop_gradient: Any = staticmethod(lax.stop_gradient)
    cumsum: Any = staticmethod(jnp.cumsum)
    flip: Any = staticmethod(jnp.flip)
    transpose: Any = staticmethod(jnp.transpose)
    scan: Any = staticmethod(lax.scan)

    def size(self, x: jax.Array, axis: int) -> int:
        return x.shape[axis]

    def arange(self, count: int) -> jax.Array:
        return jnp.arange(count, dtype=jnp.int32)

    def as_float(self, x: jax.Array, like: jax.Array) -> jax.Array:
        return x.astype(like.dtype)

    def as_int(self, x: jax.Array) -> jax.Array:
        return x.astype(jnp.int32)

    def max(self, x: jax.Array, axis: int) -> jax.Array:
        return jnp.max(x, axis, keepdims=True)

    def argmax(self, x: jax.Array, axis: int) -> jax.Array:
        return lax.expand_dims(lax.argmax(x, axis, jnp.int32), [axis])

    def sum(self, x: jax.Array, axis: int) -> jax.Array:
        return jnp.sum(x, axis, keepdims=True, dtype=x.dtype)

    def concat(self, arrays: Sequence[jax.Array], axis: int) -> jax.Array:
        return jnp.concatenate(arrays, axis)

    def matmul(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)

    def take(self, x: jax.Array, indices: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x, indices[:, None, :], 2, mode="promise_in_bounds")

    def pick(self, x: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x, labels[:, :, None], 2, mode="promise_in_bounds")[:, :, 0]

    def without_padding(self, x: jax.Array, real: jax.Array) -> jax.Array:
        return jnp.where(real[:, :, None], x, 0.0)

    def sum_by_class(self, x: jax.Array, labels: jax.Array, classes: int) -> jax.Array:
        return jnp.einsum(
            "ntl,nlc->ntc", x, jax.nn.one_hot(labels, classes, dtype=x.dtype), precision=lax.Precision.HIGHEST
        )

    def log_softmax(self, x: jax.Array, axis: int) -> jax.Array:
        return jax.nn.log_softmax(x, axis)

    def argsort(self, x: jax.Array, axis: int) -> jax.Array:
        return jnp.argsort(x, axis, stable=True).astype(jnp.int32)

    def searchsorted(self, rows: jax.Array, values: jax.Array) -> jax.Array:
        return jax.vmap(jnp.searchsorted)(rows, values).astype(jnp.int32)

    def digits(self, x: jax.Array) -> jax.Array:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        return ((lax.bitcast_convert_type(x, kind) >> start) - bias).astype(jnp.int32)

    def scale(self, x: jax.Array, digits: jax.Array) -> jax.Array:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        power = lax.bitcast_convert_type((jnp.maximum(digits, -126).astype(kind) + bias) << start, x.dtype)
        return x * jnp.where(digits < -126, 0.0, power)

    def shift_right(self, x: jax.Array, count: int) -> jax.Array:
        return x >> count


XP: Namespace = JaxNamespace()
