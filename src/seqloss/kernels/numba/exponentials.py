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

from seqloss.kernels.numba.bits import scale_by_low_bits, subtract_bits
from seqloss.kernels.numba.compilation import inlined
from seqloss.kernels.numba.vectors import full_like, is_float32, less, maximum, multiply_add, select

LOG2E = 1.0 / math.log(2.0)
ROUNDER32, ROUNDER64 = 1.5 * 2.0**23, 1.5 * 2.0**52
UPPER32, LOWER32 = 355.0 / 512.0, -0.00021219444005469057  # 9 bits: exact times |n| < 2^15
UPPER64, LOWER64 = 11629079.0 / 2.0**24, 5.7699990475432854e-08  # 24 bits: exact times |n| < 2^29
LN2 = math.log(2.0)
LOWEST32, LOWEST64 = -87.3, -708.3
"""Below these, exp is under the type's smallest normal number and counts as 0."""


@inlined
def _finish_polynomial(r, square, total):
    """1 + r + r^2 total, the small terms first."""
    return multiply_add(total, square, r) + full_like(r, 1.0)


@inlined
def _exp_polynomial6(r):
    total = multiply_add(r, full_like(r, 0.0013926250831497611), full_like(r, 0.008363232883682618))
    total = multiply_add(total, r, full_like(r, 0.04166655421298415))
    total = multiply_add(total, r, full_like(r, 0.16666576666119928))
    total = multiply_add(total, r, full_like(r, 0.5))
    total = multiply_add(total, r, full_like(r, 1.0))
    return multiply_add(total, r, full_like(r, 1.0))


@inlined
def _exp_polynomial9(r):
    square = r * r
    even = multiply_add(square, full_like(r, 2.4867870179687727e-05), full_like(r, 0.0013888839110572009))
    odd = multiply_add(square, full_like(r, 2.7617564785876086e-06), full_like(r, 0.00019841224599656011))
    even = multiply_add(even, square, full_like(r, 0.04166666678626573))
    odd = multiply_add(odd, square, full_like(r, 0.00833333334420298))
    even = multiply_add(even, square, full_like(r, 0.4999999999995511))
    odd = multiply_add(odd, square, full_like(r, 0.16666666666662586))
    even = multiply_add(even, square, full_like(r, 1.0))
    odd = multiply_add(odd, square, full_like(r, 1.0))
    return multiply_add(odd, r, even)


@inlined
def _exp_polynomial11(r):
    square = r * r
    fourth = square * square
    a = multiply_add(r, full_like(r, 0.16666666666666669), full_like(r, 0.5000000000000001))
    b = multiply_add(r, full_like(r, 0.008333333333330039), full_like(r, 0.041666666666623824))
    c = multiply_add(r, full_like(r, 0.00019841269863171557), full_like(r, 0.0013888888917367081))
    d = multiply_add(r, full_like(r, 2.7557268276905696e-06), full_like(r, 2.4801521057868204e-05))
    e = multiply_add(r, full_like(r, 2.5100472505694996e-08), full_like(r, 2.7620201591031547e-07))
    a = multiply_add(b, square, a)
    c = multiply_add(d, square, c)
    return _finish_polynomial(r, square, multiply_add(multiply_add(e, fourth, c), fourth, a))


@inlined
def _exp_polynomial(r):
    return _exp_polynomial6(r) if is_float32(r) else _exp_polynomial11(r)


@inlined
def rounding_constant(x):
    """What a vector is added to to be rounded to whole numbers."""
    return full_like(x, ROUNDER32 if is_float32(x) else ROUNDER64)


@inlined
def _minus_ln2_upper(x):
    return full_like(x, -UPPER32 if is_float32(x) else -UPPER64)


@inlined
def _minus_ln2_lower(x):
    return full_like(x, -LOWER32 if is_float32(x) else -LOWER64)


@inlined
def _reduce(x):
    shifted = multiply_add(x, full_like(x, LOG2E), rounding_constant(x))
    n = shifted - rounding_constant(x)
    return multiply_add(n, _minus_ln2_lower(x), multiply_add(n, _minus_ln2_upper(x), x)), shifted


@inlined
def _flush_below(x, lowest, r, power):
    """(r, power) of x, but those of 0 where x is below `lowest`."""
    gone, vanished = less(x, lowest), full_like(x, ROUNDER32 - 127.0 if is_float32(x) else ROUNDER64 - 1023.0)
    return select(gone, full_like(x, 0.0), r), select(gone, vanished, power)


@inlined
def split_exp(x):
    """exp of float64 x in (-3e8, 0] as (m, n), m in [0.7, 1.5]: m * 2^n, which may be far out of float64's range."""
    r, shifted = _reduce(x)
    return _exp_polynomial11(r), subtract_bits(shifted, rounding_constant(x))


@inlined
def reduce_near(scores, x):
    """(r, power) that `rebuilt` makes exp(x) of, for float64 x in [LOWEST64, 0]; what is further down is garbage.

    Args:
        scores: an array of the type that x was computed from.
    """
    if is_float32(scores):
        shifted = multiply_add(x, full_like(x, LOG2E), rounding_constant(x))
        return multiply_add(shifted - rounding_constant(x), full_like(x, -LN2), x), shifted
    return _reduce(x)


@inlined
def reduce_any(scores, x):
    """Likewise for any x <= 0: what would be under the smallest normal number becomes 0."""
    lowest = full_like(x, LOWEST64)
    r, power = reduce_near(scores, maximum(x, lowest))
    return _flush_below(x, lowest, r, power)


@inlined
def rebuild_exp(scores, r, power):
    """2^n exp(r), n being in the lowest bits of `power`."""
    return scale_by_low_bits(_exp_polynomial9(r) if is_float32(scores) else _exp_polynomial11(r), power)


@inlined
def reduce_largest(top):
    """`rounder` and `rest` for exponentials relative to `top`, which is less than 2^9 in size.

    With k the whole number next to top / ln 2: what rounds less k, and top less k times the upper part of ln 2.
    """
    shifted = multiply_add(top, full_like(top, LOG2E), rounding_constant(top))
    k = shifted - rounding_constant(top)
    return rounding_constant(top) - k, multiply_add(k, _minus_ln2_upper(top), top)


@inlined
def _reduce_difference(x, distance, rounder_back, rest):
    """(r, power) of x - top, `distance` being that, rounded."""
    power = multiply_add(distance, full_like(x, LOG2E), rounding_constant(x))
    n, m = power - rounding_constant(x), power - rounder_back
    return multiply_add(n, _minus_ln2_lower(x), multiply_add(m, _minus_ln2_upper(x), x) - rest), power


@inlined
def exp_difference_near(x, top, rounder_back, rest):
    """exp(x - top) of a vector, less than 87 below; what is further down is garbage.

    Of r = x - top - n ln 2 the upper part of ln 2 is taken away from x and from top, m = n + k times and k times: both
    are small then, and exact.

    Args:
        rounder_back, rest: of top, from `whole_and_rest`.
    """
    r, power = _reduce_difference(x, x - top, rounder_back, rest)
    return scale_by_low_bits(_exp_polynomial(r), power)


@inlined
def exp_difference(x, top, rounder_back, rest):
    """Likewise of any x <= top: 0 where it would be under the smallest normal number."""
    lowest = full_like(x, LOWEST32 if is_float32(x) else LOWEST64)
    r, power = _reduce_difference(x, maximum(x - top, lowest), rounder_back, rest)
    r, power = _flush_below(x - top, lowest, r, power)
    return scale_by_low_bits(_exp_polynomial(r), power)
