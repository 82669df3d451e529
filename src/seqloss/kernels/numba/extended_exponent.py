"""Extended-exponent numbers: a float64 mantissa in [1, 2) and a binary exponent of its own, so that a product never
ends.

A path sum multiplies thousands of probabilities and adds the results. As a pair (m, e), worth m * 2^e, it
neither underflows nor needs a logarithm; one step is a shift, an add and a multiply on whole vectors, and the
relative precision of m holds whatever the magnitude.

Rules that every operation keeps:

* Zero is (0, nothing) with nothing = -3 * 2^60, put back by a select at every normalisation; the bit trick alone would
  turn 0.0 into a number.
* True exponents stay above -2^61, so that in every comparison zero is the smaller, and nothing + nothing - a true
  exponent still does not wrap. 2^61 is ten thousand million frames at the largest score that is not a mask.
* A shift below the smallest normal number gives exactly 0, so that no denormal ever arises.

Operands of `add` may carry mantissas up to 2^20: they need no normalisation before a sum.
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
