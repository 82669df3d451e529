"""Extended-exponent numbers from a float's bits: value * 2^(32 exponent), the value a float and the exponent an int32.

The range never ends and no step needs a logarithm, as in `seqloss.formulas.extended_exponent`; here each operation is
a few integer instructions. A *normal* value lies in [2^-31, 2): the upper bits of its pattern, all but the last five of
a float's exponent, are those of 1.0 then. So to normalise is to write those bits, and what stood there is what the
exponent gains; to lower by 2^32 is to take one from them.

Zero has no pattern of its own: it is every number whose exponent is near NOTHING. Whatever its value, it is lost in the
first sum that it meets, and no select is needed anywhere. Exponents never fall under NOTHING; a number above
2^(32 * -2^29), 1e10 nats, is never taken for zero: a million frames of 10,000 nats each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.formulas.extended_exponent import LN2, NOTHING, Extended, split_exp
from seqloss.jax.namespace import LAYOUT, XP

ZERO_BELOW = -(2**29) - 2**28


def add(x: Extended, y: Extended) -> Extended:
    """The sum of two numbers, each normal or the sum of two that are; not normalised."""
    top = jnp.maximum(x.exponent, y.exponent)
    return Extended(_lowered(x, top) + _lowered(y, top), top)


def multiply(x: Extended, y: Extended) -> Extended:
    """The product, normalised; what goes in are sums of up to three normal numbers, or an `exp`."""
    product = bits(x.value * y.value)
    shift, one = _upper(x.value)
    value = from_bits((product & ((1 << shift) - 1)) | (one << shift), x.value.dtype)
    gained = ((product >> shift) - one).astype(jnp.int32)
    return Extended(value, jnp.maximum(x.exponent + y.exponent + gained, NOTHING))


def exp(x: jax.Array, open_: jax.Array) -> Extended:
    """e^x, its value from 2^-32 to 2^0.5, for x from -1e8 to 0, where `open_`; else zero, whatever x is."""
    digits, rest = split_exp(XP, x, open_)
    steps = (digits + 31) >> 5
    pattern = bits(jnp.exp(rest))
    pattern = pattern + ((digits - (steps << 5)).astype(pattern.dtype) << LAYOUT[x.dtype.itemsize][1])
    return Extended(from_bits(pattern, x.dtype), jnp.where(open_, steps, NOTHING))


def log(x: Extended) -> jax.Array:
    """ln x; -inf for zero."""
    steps = x.exponent.astype(x.value.dtype) * (32 * LN2)
    return jnp.where(is_zero(x), -jnp.inf, jnp.log(x.value) + steps)


def is_zero(x: Extended) -> jax.Array:
    return x.exponent < ZERO_BELOW


def narrowed(x: jax.Array, y: jax.Array, exponent: jax.Array) -> jax.Array:
    """x y 2^(32 exponent) as a float, down to the smallest normal float32; for x and y within 2^±33, exponents to 2."""
    kind = x.dtype
    half = jnp.clip(exponent, -8, 2) * 16
    integer, start, bias = LAYOUT[kind.itemsize]
    pattern = (jnp.maximum(half, -126) + bias).astype(integer)
    power = jnp.where(half < -126, 0.0, from_bits(pattern << start, kind))
    return (x * power) * (y * power)


def bits(x: jax.Array) -> jax.Array:
    """A float's pattern as an integer of its size."""
    return lax.bitcast_convert_type(x, LAYOUT[x.dtype.itemsize][0])


def from_bits(pattern: jax.Array, kind: jnp.dtype) -> jax.Array:
    return lax.bitcast_convert_type(pattern, kind)


def _lowered(x: Extended, exponent: jax.Array) -> jax.Array:
    """The value that goes with another, not smaller, exponent: next to nothing beside that one's if far larger."""
    pattern = bits(x.value)
    steps = jnp.maximum(x.exponent - exponent, -3).astype(pattern.dtype)
    return from_bits(pattern + (steps << _upper(x.value)[0]), x.value.dtype)


def _upper(x: jax.Array) -> tuple[int, int]:
    """Where a pattern's upper bits begin, and what those of 1.0 are."""
    _, start, bias = LAYOUT[x.dtype.itemsize]
    return start + 5, bias >> 5
