"""exp, lane by lane, with operations of our own choice, so that no vector library decides its digits.

exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2. Adding 1.5 * 2^fraction_bits rounds, and
leaves n in the lowest bits. ln 2 is split in two, its upper part so short that n times it is exact even where a
machine has no fused multiply-add. exp(r) is 1 + r + r^2 p(r), p being Chebyshev's approximation of
(exp(r) - 1 - r) / r^2 on that interval: of degree 4 for float32, 1.0e-8 of the result off, a sixth of a rounding; of
degree 9 for float64, 1.7e-17.
"""

from __future__ import annotations

import math

from numba import types
from numba.extending import overload

from seqloss.kernels.compiled import inlined
from seqloss.kernels.vectors import bits_minus, less, like, maximum, multiply_add, raised, select

LOG2E = 1.0 / math.log(2.0)
ROUNDER32, ROUNDER64 = 1.5 * 2.0**23, 1.5 * 2.0**52
UPPER32, LOWER32 = 355.0 / 512.0, -0.00021219444005469057  # 9 bits: exact times |n| < 2^15
UPPER64, LOWER64 = 11629079.0 / 2.0**24, 5.7699990475432854e-08  # 24 bits: exact times |n| < 2^29
LOWEST32, LOWEST64 = -87.3, -708.3
"""Below these, exp is under the type's smallest normal number and counts as 0."""


@inlined
def _tail(r, square, total):
    """1 + r + r^2 total, the small terms first."""
    return multiply_add(total, square, r) + like(r, 1.0)


@inlined
def _series6(r):
    total = multiply_add(r, like(r, 0.0013926250831497611), like(r, 0.008363232883682618))
    total = multiply_add(total, r, like(r, 0.04166655421298415))
    total = multiply_add(total, r, like(r, 0.16666576666119928))
    return _tail(r, r * r, multiply_add(total, r, like(r, 0.5)))


@inlined
def _series11(r):
    square = r * r
    fourth = square * square
    a = multiply_add(r, like(r, 0.16666666666666669), like(r, 0.5000000000000001))
    b = multiply_add(r, like(r, 0.008333333333330039), like(r, 0.041666666666623824))
    c = multiply_add(r, like(r, 0.00019841269863171557), like(r, 0.0013888888917367081))
    d = multiply_add(r, like(r, 2.7557268276905696e-06), like(r, 2.4801521057868204e-05))
    e = multiply_add(r, like(r, 2.5100472505694996e-08), like(r, 2.7620201591031547e-07))
    a = multiply_add(b, square, a)
    c = multiply_add(d, square, c)
    return _tail(r, square, multiply_add(multiply_add(e, fourth, c), fourth, a))


@inlined
def _near32(x):
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER32))
    n = shifted - like(x, ROUNDER32)
    return raised(_series6(multiply_add(n, like(x, -LOWER32), multiply_add(n, like(x, -UPPER32), x))), shifted)


@inlined
def _near64(x):
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER64))
    n = shifted - like(x, ROUNDER64)
    return raised(_series11(multiply_add(n, like(x, -LOWER64), multiply_add(n, like(x, -UPPER64), x))), shifted)


@inlined
def split_exp(x):
    """exp of float64 x in (-3e8, 0] as (m, n), m in [0.7, 1.5]: m * 2^n, which may be far out of float64's range."""
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER64))
    n = shifted - like(x, ROUNDER64)
    r = multiply_add(n, like(x, -LOWER64), multiply_add(n, like(x, -UPPER64), x))
    return _series11(r), bits_minus(shifted, like(x, ROUNDER64))


def _near(x):
    raise TypeError("works inside compiled kernels only")


@overload(_near)
def _near_by_type(x):
    return (lambda x: _near32(x)) if x.element == types.float32 else (lambda x: _near64(x))


def _lowest(x):
    raise TypeError("works inside compiled kernels only")


@overload(_lowest)
def _lowest_by_type(x):
    return (lambda x: like(x, LOWEST32)) if x.element == types.float32 else (lambda x: like(x, LOWEST64))


@inlined
def exp_near(x):
    """exp of a vector x in [LOWEST32, 0]; what is further down is garbage."""
    return _near(x)


@inlined
def exp(x):
    """exp of a vector x <= 0; 0 where it would be under the smallest normal number."""
    lowest = _lowest(x)
    return select(less(x, lowest), like(x, 0.0), _near(maximum(x, lowest)))
