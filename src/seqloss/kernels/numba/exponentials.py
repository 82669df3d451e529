"""exp, lane by lane, in operations chosen here, so that its digits do not depend on a vector library.

1. Range reduction (Cody-Waite): exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2. Adding
   1.5 * 2^fraction_bits rounds to an integer and leaves n in the lowest bits. ln 2 is split into two parts; the upper
   part is so short that n times it is exact, even on a machine without fused multiply-add.
2. Polynomial: exp(r) = 1 + r + r^2 p(r), where p is a Chebyshev approximation of (exp(r) - 1 - r) / r^2: degree 4 for
   float32 (relative error 1.0e-8, a sixth of a rounding), degree 9 for float64 (1.7e-17). For float32 scores whose
   emissions are computed in float64, degree 7 (7.4e-14) and ln 2 in one part (8e-14 for n down to -1022) save a sixth
   of the work.
3. Reconstruction: n is added to the exponent bits.

A processor has few vectors in flight at a time and otherwise waits for the last digits of each. So long sequences of
exponentials are faster in two loops: first all vectors are reduced to r and n, then all are rebuilt.
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
"""Below these, exp is below the type's smallest normal number and becomes 0."""


@inlined
def _finish_polynomial(r, square, total):
    """1 + r + r^2 total, small terms first."""
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
    """The number whose addition rounds a vector to integers."""
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
    """(r, power), replaced where x is below `lowest` by a pair from which `scale_by_low_bits` makes 0."""
    gone, vanished = less(x, lowest), full_like(x, ROUNDER32 - 127.0 if is_float32(x) else ROUNDER64 - 1023.0)
    return select(gone, full_like(x, 0.0), r), select(gone, vanished, power)


@inlined
def split_exp(x):
    """exp of float64 x in (-3e8, 0] as (m, n) with m in [0.7, 1.5]: m * 2^n may be far below float64's range."""
    r, shifted = _reduce(x)
    return _exp_polynomial11(r), subtract_bits(shifted, rounding_constant(x))


@inlined
def reduce_near(scores, x):
    """(r, power) for `rebuild_exp`, for float64 x in [LOWEST64, 0]; below that the result is undefined.

    Args:
        scores: an array of the type from which x was computed; it selects the precision.
    """
    if is_float32(scores):
        shifted = multiply_add(x, full_like(x, LOG2E), rounding_constant(x))
        return multiply_add(shifted - rounding_constant(x), full_like(x, -LN2), x), shifted
    return _reduce(x)


@inlined
def reduce_any(scores, x):
    """The same for any x <= 0: results below the smallest normal number become 0."""
    lowest = full_like(x, LOWEST64)
    r, power = reduce_near(scores, maximum(x, lowest))
    return _flush_below(x, lowest, r, power)


@inlined
def rebuild_exp(scores, r, power):
    """2^n exp(r), where n is in the lowest bits of `power`."""
    return scale_by_low_bits(_exp_polynomial9(r) if is_float32(scores) else _exp_polynomial11(r), power)


@inlined
def reduce_largest(top):
    """`rounder_back` and `rest` for exponentials relative to `top`, |top| < 2^9.

    With k = round(top / ln 2), these are the rounding constant minus k, and top minus k times the upper part of ln 2.
    """
    shifted = multiply_add(top, full_like(top, LOG2E), rounding_constant(top))
    k = shifted - rounding_constant(top)
    return rounding_constant(top) - k, multiply_add(k, _minus_ln2_upper(top), top)


@inlined
def _reduce_difference(x, distance, rounder_back, rest):
    """(r, power) of x - top, without the rounding of `distance` = x - top: see `exp_difference_near`."""
    power = multiply_add(distance, full_like(x, LOG2E), rounding_constant(x))
    n, m = power - rounding_constant(x), power - rounder_back
    return multiply_add(n, _minus_ln2_lower(x), multiply_add(m, _minus_ln2_upper(x), x) - rest), power


@inlined
def exp_difference_near(x, top, rounder_back, rest):
    """exp(x - top) for x less than 87 below top; further below, the result is undefined.

    r = x - top - n ln 2 is computed as (x - m ln 2) - (top - k ln 2) with m = n + k and the upper part of ln 2. Both
    terms are small and exact, so that r has no rounding of x - top.

    Args:
        rounder_back, rest: of top, from `reduce_largest`.
    """
    r, power = _reduce_difference(x, x - top, rounder_back, rest)
    return scale_by_low_bits(_exp_polynomial(r), power)


@inlined
def exp_difference(x, top, rounder_back, rest):
    """The same for any x <= top: results below the smallest normal number become 0."""
    lowest = full_like(x, LOWEST32 if is_float32(x) else LOWEST64)
    r, power = _reduce_difference(x, maximum(x - top, lowest), rounder_back, rest)
    r, power = _flush_below(x - top, lowest, r, power)
    return scale_by_low_bits(_exp_polynomial(r), power)
