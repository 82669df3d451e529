"""Extended-exponent numbers in whole arrays: a float in [1, 2^32) and an int32 exponent that counts steps of 2^32.

The idea is the CPU kernels': a product of thousands of probabilities neither underflows nor needs a logarithm. With 32
binary digits to a step, an int32 holds a million frames of which each costs 10,000 nats. Zero is (0, NOTHING), put back
whenever a number is normalised. A number under 2^(32 * NOTHING), which is 2e10 nats, counts as zero: it
is lost in the first sum that it meets.
"""

from __future__ import annotations

from typing import NamedTuple

from seqloss.formulas.namespace import Array, Namespace

STEP_LOG2, STEP = 5, 32
NOTHING = -(2**30) + 2**20

LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440054690583e-4
"""They add up to ln 2; the first has nine binary digits, so that its products with 1..2^15 are exact in float32."""


class Extended(NamedTuple):
    """value * 2^(32 * exponent)."""

    value: Array
    exponent: Array


def choose(xp: Namespace, condition: Array, x: Extended, y: Extended) -> Extended:
    """x where the condition holds, else y."""
    return Extended(xp.where(condition, x.value, y.value), xp.where(condition, x.exponent, y.exponent))


def indicator(xp: Namespace, condition: Array, like: Array) -> Extended:
    """1 where the condition holds, else zero."""
    one = xp.as_int(condition)
    return Extended(xp.as_float(one, like), (1 - one) * NOTHING)


def exp(xp: Namespace, x: Array, open_: Array) -> Extended:
    """e^x, for x from -1e8 to 0, where `open_`; else zero, whatever x is."""
    digits, rest = split_exp(xp, x, open_)
    steps = xp.shift_right(digits, STEP_LOG2)
    value = xp.scale(xp.exp(rest), digits - steps * STEP)
    return Extended(xp.where(open_, value, 0.0), xp.where(open_, steps, NOTHING))


def split_exp(xp: Namespace, x: Array, open_: Array) -> tuple[Array, Array]:
    """Binary digits and a rest with e^x = 2^digits e^rest, where `open_`; else both 0."""
    x = xp.where(open_, x, 0.0)
    whole = xp.round(x * (1.0 / LN2))
    return xp.as_int(whole), (x - whole * LN2_HIGH) - whole * LN2_LOW


def add(xp: Namespace, x: Extended, y: Extended) -> Extended:
    """The sum, not normalised."""
    top = xp.maximum(x.exponent, y.exponent)
    return Extended(shifted(xp, x, top) + shifted(xp, y, top), top)


def shifted(xp: Namespace, x: Extended, exponent: Array) -> Array:
    """The value that goes with another, not smaller, exponent."""
    return xp.scale(x.value, xp.maximum(x.exponent - exponent, -4) * STEP)


def multiply(xp: Namespace, x: Extended, y: Extended) -> Extended:
    """The product, normalised; values of up to 2^60 each."""
    value = x.value * y.value
    steps = xp.shift_right(xp.digits(value), STEP_LOG2)
    exponent = x.exponent + y.exponent + steps
    some = value > 0.0
    value = xp.scale(value, xp.where(some, steps, 0) * -STEP)
    return Extended(xp.where(some, value, 0.0), xp.where(some, exponent, NOTHING))


def log(xp: Namespace, x: Extended) -> Array:
    """ln x; -inf for zero."""
    return xp.log(x.value) + xp.as_float(x.exponent, x.value) * (STEP * LN2)
