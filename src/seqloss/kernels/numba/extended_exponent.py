"""Extended-exponent numbers: a float64 mantissa in [1, 2) and an int64 binary exponent, so that no product underflows.

A path sum multiplies thousands of probabilities and adds the results. As a pair (m, e) with the value m * 2^e, it
neither underflows nor needs a logarithm. One step takes a shift, an addition and a multiplication of whole vectors, and
m has the same relative precision at any magnitude.

Every operation keeps these rules:

* Zero is (0, ZERO_EXPONENT), restored by a select at every normalisation. The bit operations alone would turn 0.0 into
  a number.
* Exponents of other numbers stay above -2^61. So zero is the smaller operand in every comparison, and
  2 * ZERO_EXPONENT minus such an exponent does not wrap around. 2^61 is enough for ten thousand million frames with
  the largest score that is not a mask.
* A shift below the smallest normal number gives exactly 0, so that denormals never occur.

Mantissas of the operands of `add_extended` may be as large as 2^20: they need not be normalised before a sum.
"""

from __future__ import annotations

from seqloss.kernels.numba.bits import binary_exponent, mantissa_in_one_to_two, power_of_two
from seqloss.kernels.numba.compilation import inlined
from seqloss.kernels.numba.vectors import maximum

ZERO_EXPONENT = -3 * 2**60
"""The exponent of zero."""


@inlined
def add_extended(m1, e1, m2, e2):
    """Sum of two extended-exponent numbers, its mantissa not yet normalised."""
    top = maximum(e1, e2)
    return m1 * power_of_two(m1, e1 - top) + m2 * power_of_two(m2, e2 - top), top


@inlined
def normalize_extended(m, e, zero):
    """The same number with its mantissa in [1, 2), or (0, zero)."""
    return mantissa_in_one_to_two(m), binary_exponent(m, e, zero)
