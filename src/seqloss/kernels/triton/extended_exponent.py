"""Extended-exponent numbers in Triton: a float32 in [1, 2^32) and an int32 exponent that counts steps of 2^32.

The representation, with zero as (0, ZERO_EXPONENT), is that of `seqloss.formulas.extended_exponent`. Two differences
save instructions:

* A shift by k steps multiplies by a power of two made from bits. k is limited to 3: a term that is 2^-64 of the sum or
  less does not change it, whatever its exact factor.
* e^x subtracts whole multiples of ln 2, in two parts. For the remainder, at most ln(2)/2, a polynomial is accurate to
  one or two roundings. The device's own 2^y (`ex2.approx`) has relative errors of up to 2^-22, which a product over a
  hundred frames would turn into 1e-5. It is used only for the sum over the other classes of a frame, once per frame.
"""

import triton
import triton.language as tl

from seqloss import contract

ZERO_EXPONENT = tl.constexpr(-(2**30) + 2**20)
PACKED_ZERO = tl.constexpr((-(2**30) + 2**20) << 32)
"""Zero, as `pack` returns it."""
MASKED = tl.constexpr(contract.MASKED)
LOG2E = tl.constexpr(1.4426950408889634)
LN2_HIGH, LN2_LOW = tl.constexpr(0.693359375), tl.constexpr(-2.12194440054690583e-4)
"""Their sum is ln 2; products of the first with integers up to 2^15 are exact."""
LN2 = tl.constexpr(0.6931471805599453)
ROUNDER = tl.constexpr(12582912.0)
"""1.5 * 2^23: adding it rounds a number to an integer and leaves that in the lowest bits."""
LOWEST = tl.constexpr(-87.3)
"""From here on, e^x is a normal float32; the smallest one is e^-87.34."""
ONE_BITS = tl.constexpr(127 << 23)


@triton.jit
def exp_of_remainder(r):
    """e^r for |r| <= ln(2)/2: 1 + r + r^2 (1/2 + ...), small terms first."""
    total = tl.fma(r, 0.0013926250831497611, 0.008363232883682618)
    total = tl.fma(total, r, 0.04166655421298415)
    total = tl.fma(total, r, 0.16666576666119928)
    total = tl.fma(total, r, 0.5)
    return tl.fma(total, r * r, r) + 1.0


@triton.jit
def exp_nonpositive(x):
    """e^x of a float32 x <= 0; exactly 0 where the result would be denormal, and for NaN."""
    some = x >= LOWEST
    x = tl.maximum(x, LOWEST)
    moved = tl.fma(x, LOG2E, ROUNDER)
    whole = moved - ROUNDER
    rest = tl.fma(whole, -LN2_LOW, tl.fma(whole, -LN2_HIGH, x))
    power = exp_of_remainder(rest)
    bits = power.to(tl.int32, bitcast=True) + (moved.to(tl.int32, bitcast=True) << 23)
    return tl.where(some, bits.to(tl.float32, bitcast=True), 0.0)


@triton.jit
def exp_approximate(x):
    """e^x of a float32 x <= 0 with the device's own 2^y: relative error about 2^-22, or absolute error 2^-126.

    The rounding error r of x log2(e) is small; the factor 1 + r compensates it.
    """
    x = tl.maximum(x, -104.0)
    turned = x * LOG2E
    power = tl.exp2(turned)
    return tl.fma(power, tl.fma(turned, -LN2, x), power)


@triton.jit
def exp_full_range(x):
    """e^x of any float32: inf and 0 beyond the range of float32, NaN for NaN."""
    inside = tl.minimum(tl.maximum(x, -104.0), 104.0)
    whole = tl.floor(inside * LOG2E + 0.5)
    rest = (inside - whole * LN2_HIGH) - whole * LN2_LOW
    digits = whole.to(tl.int32)
    half = digits >> 1
    low = ((half << 23) + ONE_BITS).to(tl.float32, bitcast=True)
    high = (((digits - half) << 23) + ONE_BITS).to(tl.float32, bitcast=True)
    return tl.where(x == x, (exp_of_remainder(rest) * low) * high, x)


@triton.jit
def two_difference(x, y):
    """x - y and its rounding error (TwoDiff): their sum is exact."""
    found = x - y
    virtual = found - x
    return found, (x - (found - virtual)) - (y + virtual)


@triton.jit
def exp_extended(x, lacking, open_):
    """e^(x + lacking) as an extended-exponent number, for x from -1e8 to 0; zero where `open_` is false, for any x.

    Args:
        lacking: the rounding error of x, see `two_difference`; it is added to the remainder of the range reduction.
    """
    x = tl.maximum(x, -MASKED)
    whole = tl.floor(x * LOG2E + 0.5)
    rest = ((x - whole * LN2_HIGH) - whole * LN2_LOW) + lacking
    digits = whole.to(tl.int32)
    steps = digits >> 5
    power = exp_of_remainder(rest)
    # near a multiple of 32 digits e^rest may be below 1: such a value is slightly below 1, which the product allows
    bits = power.to(tl.int32, bitcast=True) + ((digits - (steps << 5)) << 23)
    return tl.where(open_, bits.to(tl.float32, bitcast=True), 0.0), tl.where(open_, steps, ZERO_EXPONENT)


@triton.jit
def pack(value, exponent):
    """An extended-exponent number as one int64: the exponent in the upper half, the value's bits in the lower."""
    return (exponent.to(tl.int64) << 32) | (value.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF)


@triton.jit
def unpack(number):
    """Value and exponent of a packed number."""
    return number.to(tl.int32).to(tl.float32, bitcast=True), (number >> 32).to(tl.int32)


@triton.jit
def shift_to(value, exponent, top):
    """The value in units of another exponent that is not smaller."""
    factor = (tl.maximum(exponent - top, -3) << 28) + ONE_BITS
    return value * factor.to(tl.float32, bitcast=True)


@triton.jit
def add_extended(x, x_exponent, y, y_exponent):
    """The sum, not normalised."""
    top = tl.maximum(x_exponent, y_exponent)
    return shift_to(x, x_exponent, top) + shift_to(y, y_exponent, top), top


@triton.jit
def multiply_extended(x, x_exponent, y, y_exponent):
    """The product, normalised; values may be up to 2^60 each."""
    value = x * y
    bits = value.to(tl.int32, bitcast=True)
    steps = (bits - ONE_BITS) >> 28
    some = value > 0.0
    bits = bits - (steps << 28)
    exponent = x_exponent + y_exponent + steps
    return tl.where(some, bits.to(tl.float32, bitcast=True), 0.0), tl.where(some, exponent, ZERO_EXPONENT)


@triton.jit
def indicator(condition):
    """1 where the condition is true, else zero."""
    return tl.where(condition, 1.0, 0.0), tl.where(condition, 0, ZERO_EXPONENT)
