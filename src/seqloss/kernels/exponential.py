"""exp, lane by lane, with operations of our own choice, so that no vector library decides its digits.

exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2. Adding 1.5 * 2^fraction_bits rounds, and
leaves n in the lowest bits. ln 2 is split in two, its upper part so short that n times it is exact even where a
machine has no fused multiply-add. exp(r) is 1 + r + r^2 p(r), p being Chebyshev's approximation of
(exp(r) - 1 - r) / r^2 on that interval: of degree 4 for float32, 1.0e-8 of the result off, a sixth of a rounding; of
degree 9 for float64, 1.7e-17. Probabilities of float32 scores that are taken in float64 are spared a sixth of the work:
p is of degree 7, 7.4e-14 off, and ln 2 in one piece, which for n down to -1022 is 8e-14 off at most.

A processor holds few vectors on their way at a time, and so waits for each one's last digits. Where an exponential is
followed by more, or is long, it goes faster in pieces: all vectors are reduced to r and n, then all are rebuilt.
"""

from __future__ import annotations

import math

from numba import types
from numba.extending import overload

from seqloss.kernels.bits import bits_minus, raised
from seqloss.kernels.compiled import inlined
from seqloss.kernels.vectors import less, like, maximum, multiply_add, select

LOG2E = 1.0 / math.log(2.0)
ROUNDER32, ROUNDER64 = 1.5 * 2.0**23, 1.5 * 2.0**52
UPPER32, LOWER32 = 355.0 / 512.0, -0.00021219444005469057  # 9 bits: exact times |n| < 2^15
UPPER64, LOWER64 = 11629079.0 / 2.0**24, 5.7699990475432854e-08  # 24 bits: exact times |n| < 2^29
LN2 = math.log(2.0)
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
def _series9(r):
    square = r * r
    a = multiply_add(r, like(r, 0.16666666666662586), like(r, 0.4999999999995511))
    b = multiply_add(r, like(r, 0.00833333334420298), like(r, 0.04166666678626573))
    c = multiply_add(r, like(r, 0.00019841224599656011), like(r, 0.0013888839110572009))
    d = multiply_add(r, like(r, 2.7617564785876086e-06), like(r, 2.4867870179687727e-05))
    a = multiply_add(b, square, a)
    c = multiply_add(d, square, c)
    return _tail(r, square, multiply_add(c, square * square, a))


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
def _reduced32(x):
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER32))
    n = shifted - like(x, ROUNDER32)
    return multiply_add(n, like(x, -LOWER32), multiply_add(n, like(x, -UPPER32), x)), shifted


@inlined
def _reduced64(x):
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER64))
    n = shifted - like(x, ROUNDER64)
    return multiply_add(n, like(x, -LOWER64), multiply_add(n, like(x, -UPPER64), x)), shifted


@inlined
def _reduced_once(x):
    shifted = multiply_add(x, like(x, LOG2E), like(x, ROUNDER64))
    return multiply_add(shifted - like(x, ROUNDER64), like(x, -LN2), x), shifted


@inlined
def split_exp(x):
    """exp of float64 x in (-3e8, 0] as (m, n), m in [0.7, 1.5]: m * 2^n, which may be far out of float64's range."""
    r, shifted = _reduced64(x)
    return _series11(r), bits_minus(shifted, like(x, ROUNDER64))


def _by_type(of32, of64):
    """A function of a vector that is `of32` or `of64` as its elements are."""

    def chosen(x):
        raise TypeError("works inside compiled kernels only")

    @overload(chosen)
    def choose(x):
        return of32 if x.element == types.float32 else of64

    return chosen


def _constant(value):
    return lambda x: like(x, value)


_reduced = _by_type(lambda x: _reduced32(x), lambda x: _reduced64(x))
_series = _by_type(lambda x: _series6(x), lambda x: _series11(x))
_lowest = _by_type(_constant(LOWEST32), _constant(LOWEST64))
_vanished = _by_type(_constant(ROUNDER32 - 127.0), _constant(ROUNDER64 - 1023.0))


def _by_scores(of32, of64):
    """A function that begins with an array of scores, and is `of32` or `of64` as these are."""

    def chosen(scores, x):
        raise TypeError("works inside compiled kernels only")

    @overload(chosen)
    def choose(scores, x):
        return of32 if scores.dtype == types.float32 else of64

    return chosen


_distance_reduced = _by_scores(lambda scores, x: _reduced_once(x), lambda scores, x: _reduced64(x))
_distance_series = _by_scores(lambda scores, x: _series9(x), lambda scores, x: _series11(x))


@inlined
def _gone(x, r, power):
    """(r, power) of x, but those of 0 where exp(x) would be under the smallest normal number."""
    gone = less(x, _lowest(x))
    return select(gone, like(x, 0.0), r), select(gone, _vanished(x), power)


@inlined
def reduced_near(scores, x):
    """(r, power) that `rebuilt` makes exp(x) of, for float64 x in [LOWEST32, 0]; what is further down is garbage.

    Args:
        scores: an array of the type that x was computed from.
    """
    return _distance_reduced(scores, x)


@inlined
def reduced(scores, x):
    """Likewise for any x <= 0: what would be under the smallest normal number becomes 0."""
    r, power = _distance_reduced(scores, maximum(x, _lowest(x)))
    return _gone(x, r, power)


@inlined
def rebuilt(scores, r, power):
    """2^n exp(r), n being in the lowest bits of `power`."""
    return raised(_distance_series(scores, r), power)


@inlined
def exp_near(x):
    """exp of a vector x in [LOWEST32, 0]; what is further down is garbage."""
    r, power = _reduced(x)
    return raised(_series(r), power)


@inlined
def exp(x):
    """exp of a vector x <= 0; 0 where it would be under the smallest normal number."""
    r, power = _reduced(maximum(x, _lowest(x)))
    r, power = _gone(x, r, power)
    return raised(_series(r), power)
