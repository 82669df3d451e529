"""The bits of floats, lane by lane: exponents, mantissas, and powers of two made from bits."""

from __future__ import annotations

from numba.core import types
from numba.extending import intrinsic

from seqloss.kernels.numba.vectors import FRACTION_BITS, INTEGER, constant

BIAS = {types.float32: 127, types.float64: 1023}


@intrinsic
def subtract_bits(typing, value, origin):
    """The bits of one float vector minus those of another, as integers."""

    def build(context, builder, sig, args):
        integers = sig.args[0].of(INTEGER[sig.args[0].element])
        left, right = (builder.bitcast(arg, integers.llvm) for arg in args)
        return builder.sub(left, right)

    return value.of(INTEGER[value.element])(value, origin), build


@intrinsic
def raw_exponent(typing, value):
    """The biased exponent floor(log2 x) + 1023 of normal float64 x > 0, and 0 for 0, as int32."""
    exponents = value.of(types.int32)

    def build(context, builder, sig, args):
        whole = value.of(types.int64)
        bits = builder.bitcast(args[0], whole.llvm)
        return builder.trunc(builder.lshr(bits, constant(whole, FRACTION_BITS[types.float64])), exponents.llvm)

    return exponents(value), build


@intrinsic
def exp2_of_int32(typing, power):
    """2^power as float64, for int32 powers from -1022 to 1023; 0 for -1023."""
    floats = power.of(types.float64)

    def build(context, builder, sig, args):
        whole = power.of(types.int64)
        bits = builder.add(builder.sext(args[0], whole.llvm), constant(whole, BIAS[types.float64]))
        return builder.bitcast(builder.shl(bits, constant(whole, FRACTION_BITS[types.float64])), floats.llvm)

    return floats(power), build


@intrinsic
def mantissa_in_one_to_two(typing, value):
    """m / 2^floor(log2 m) in [1, 2) for a float vector m >= 0; 0 stays 0."""

    def build(context, builder, sig, args):
        vector = sig.args[0]
        integers = vector.of(INTEGER[vector.element])
        shift = FRACTION_BITS[vector.element]
        bits = builder.bitcast(args[0], integers.llvm)
        kept = builder.and_(bits, constant(integers, (1 << shift) - 1))
        whole = builder.or_(kept, constant(integers, BIAS[vector.element] << shift))
        nothing = builder.icmp_signed("==", bits, constant(integers, 0))
        return builder.bitcast(builder.select(nothing, constant(integers, 0), whole), vector.llvm)

    return value(value), build


@intrinsic
def binary_exponent(typing, value, exponent, nothing):
    """floor(log2 m) + `exponent` for a float vector m > 0, and `nothing` where m is 0."""

    def build(context, builder, sig, args):
        vector, integers = sig.args[0], sig.args[1]
        bits = builder.bitcast(args[0], integers.llvm)
        own = builder.ashr(bits, constant(integers, FRACTION_BITS[vector.element]))
        own = builder.sub(own, constant(integers, BIAS[vector.element]))
        empty = builder.icmp_signed("==", bits, constant(integers, 0))
        return builder.select(empty, args[2], builder.add(own, args[1]))

    return exponent(value, exponent, nothing), build


@intrinsic
def scale_by_low_bits(typing, value, shifted):
    """value * 2^n, where n is the integer in the lowest bits of the float `shifted`; the result must be normal."""

    def build(context, builder, sig, args):
        vector = sig.args[0]
        integers = vector.of(INTEGER[vector.element])
        bits, n = (builder.bitcast(arg, integers.llvm) for arg in args)
        n = builder.shl(n, constant(integers, FRACTION_BITS[vector.element]))
        return builder.bitcast(builder.add(bits, n), vector.llvm)

    return value(value, shifted), build


@intrinsic
def power_of_two(typing, like_value, exponent):
    """2^exponent as floats, for exponents up to the type's largest; exactly 0 below its smallest normal one."""

    def build(context, builder, sig, args):
        vector, integers = sig.args
        bias = BIAS[vector.element]
        bits = builder.add(args[1], constant(integers, bias))
        bits = builder.shl(bits, constant(integers, FRACTION_BITS[vector.element]))
        tiny = builder.icmp_signed("<", args[1], constant(integers, 1 - bias))
        return builder.bitcast(builder.select(tiny, constant(integers, 0), bits), vector.llvm)

    return like_value(like_value, exponent), build
