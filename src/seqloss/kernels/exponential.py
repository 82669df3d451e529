"""exp, lane by lane, with operations of our own choice so that every machine gives the same bits.

exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2. Adding 1.5 * 2^fraction_bits rounds, and
leaves n in the lowest bits. ln 2 is split in two, its upper part so short that n times it is exact without a
fused multiply-add. exp(r) is Taylor's series: its remainder r^8 / 8! is 5e-9 of the result at degree 7, under
a tenth of a rounding of float32, and 4e-18 at degree 13, under a tenth of one of float64.
"""

from __future__ import annotations

import math

from numba import types
from numba.extending import overload

from seqloss.kernels.compiled import inlined
from seqloss.kernels.vectors import bits_minus, less, like, maximum, power_of_two, select

LOG2E = 1.0 / math.log(2.0)
ROUNDER32, ROUNDER64 = 1.5 * 2.0**23, 1.5 * 2.0**52
UPPER32, LOWER32 = 355.0 / 512.0, -0.00021219444005469057  # 9 bits: exact times |n| < 2^15
UPPER64, LOWER64 = 11629079.0 / 2.0**24, 5.7699990475432854e-08  # 24 bits: exact times |n| < 2^29
LOWEST32, LOWEST64 = -87.3, -708.3
"""Below these, exp is under the type's smallest normal number and counts as 0."""


@inlined
def _series7(r):
    total = r * like(r, 1 / 5040) + like(r, 1 / 720)
    total = total * r + like(r, 1 / 120)
    total = total * r + like(r, 1 / 24)
    total = total * r + like(r, 1 / 6)
    total = total * r + like(r, 0.5)
    return total * (r * r) + r + like(r, 1.0)


@inlined
def _series13(r):
    total = r * like(r, 1 / 6227020800) + like(r, 1 / 479001600)
    total = total * r + like(r, 1 / 39916800)
    total = total * r + like(r, 1 / 3628800)
    total = total * r + like(r, 1 / 362880)
    total = total * r + like(r, 1 / 40320)
    total = total * r + like(r, 1 / 5040)
    total = total * r + like(r, 1 / 720)
    total = total * r + like(r, 1 / 120)
    total = total * r + like(r, 1 / 24)
    total = total * r + like(r, 1 / 6)
    total = total * r + like(r, 0.5)
    return total * (r * r) + r + like(r, 1.0)


@inlined
def _exp32(x):
    shifted = maximum(x, like(x, LOWEST32)) * like(x, LOG2E) + like(x, ROUNDER32)
    n = shifted - like(x, ROUNDER32)
    r = (maximum(x, like(x, LOWEST32)) - n * like(x, UPPER32)) - n * like(x, LOWER32)
    value = _series7(r) * power_of_two(x, bits_minus(shifted, like(x, ROUNDER32)))
    return select(less(x, like(x, LOWEST32)), like(x, 0.0), value)


@inlined
def _exp64(x):
    value, n = split_exp(maximum(x, like(x, LOWEST64)))
    return select(less(x, like(x, LOWEST64)), like(x, 0.0), value * power_of_two(x, n))


@inlined
def split_exp(x):
    """exp of float64 x in (-3e8, 0] as (m, n), m in [0.7, 1.5]: m * 2^n, which may be far out of float64's range."""
    shifted = x * like(x, LOG2E) + like(x, ROUNDER64)
    n = shifted - like(x, ROUNDER64)
    r = (x - n * like(x, UPPER64)) - n * like(x, LOWER64)
    return _series13(r), bits_minus(shifted, like(x, ROUNDER64))


def exp(x):
    """exp of a vector x <= 0 inside a kernel; 0 where it would be under the smallest normal number."""
    raise TypeError("exp works inside compiled kernels only")


@overload(exp)
def _exp(x):
    if x.element == types.float32:
        return lambda x: _exp32(x)
    return lambda x: _exp64(x)
