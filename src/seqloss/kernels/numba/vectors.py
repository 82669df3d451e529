"""Explicit vectors for Numba: 16 x float32, 8 x float64 and their integers, as values in a kernel.

LLVM vectorises a loop only if it can prove that arrays do not overlap and that no sum changes its order. For a path sum
over a dozen arrays it cannot. With vector values there is nothing to prove: `load` eight or sixteen neighbours,
compute, `store`. Widths are fixed (`LANES`); a machine with narrower registers splits a vector. Nothing is reordered,
and only `multiply_add` is fused: no fastmath, no contraction.

Pointers are computed from the array's data without bounds checks and without wrap-around of negative indices. The
caller must pass valid indices.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

LANES = {types.float32: 16, types.int32: 16, types.float64: 8, types.int64: 8}
INTEGER = {types.float32: types.int32, types.float64: types.int64}
FRACTION_BITS = {types.float32: 23, types.float64: 52}
ELEMENTS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.int64: ir.IntType(64),
    types.boolean: ir.IntType(1),
}


class Vector(types.Type):
    """`lanes` numbers of one type, held in registers."""

    def __init__(self, element, lanes):
        self.element, self.lanes = element, lanes
        super().__init__(name=f"vector({lanes} x {element})")

    @property
    def llvm(self):
        return ir.VectorType(ELEMENTS[self.element], self.lanes)

    def of(self, element):
        """The vector type with as many lanes of another element."""
        return Vector(element, self.lanes)


@register_default(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


def constant(vector, value):
    """LLVM's constant of one value in every lane."""
    return ir.Constant(vector.llvm, [value] * vector.lanes)


def _pointer(context, builder, array_type, array, index, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.llvm.as_pointer())


def _element_bytes(vector):
    return vector.element.bitwidth // 8


@intrinsic
def lane_count(typing, array):
    """How many elements of an array one vector holds: a compile-time constant."""
    width = LANES[array.dtype]
    return types.intp(array), lambda context, builder, sig, args: context.get_constant(types.intp, width)


@intrinsic
def is_float32(typing, numbers):
    """Whether a vector's or an array's elements are float32: a compile-time constant."""
    found = (numbers.element if isinstance(numbers, Vector) else numbers.dtype) == types.float32
    return types.boolean(numbers), lambda context, builder, sig, args: context.get_constant(types.boolean, found)


@intrinsic
def load(typing, array, index):
    """The vector that starts at `index` of a 1-D contiguous array."""
    vector = Vector(array.dtype, LANES[array.dtype])

    def build(context, builder, sig, args):
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, vector)
        return builder.load(pointer, align=_element_bytes(vector))

    return vector(array, index), build


@intrinsic
def store(typing, array, index, value):
    """Write a vector to a 1-D contiguous array, from `index` on."""

    def build(context, builder, sig, args):
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, sig.args[2])
        builder.store(args[2], pointer, align=_element_bytes(sig.args[2]))
        return context.get_dummy_value()

    return types.void(array, index, value), build


def _first_lanes_mask(builder, vector, count):
    """The mask of the first `count` lanes."""
    wide = ir.VectorType(ir.IntType(64), vector.lanes)
    steps = ir.Constant(wide, list(range(vector.lanes)))
    limit = builder.insert_element(ir.Constant(wide, ir.Undefined), count, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    limit = builder.shuffle_vector(limit, ir.Constant(wide, ir.Undefined), zeros)
    return builder.icmp_signed("<", steps, limit)


def _call_intrinsic(builder, name, result, arguments):
    """Call an LLVM intrinsic by its full name (llvmlite's own declaration refuses vector types)."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic
def load_first(typing, array, index, count, fill):
    """As `load`, but only the first `count` lanes are read; the others hold `fill`."""
    vector = Vector(array.dtype, LANES[array.dtype])

    def build(context, builder, sig, args):
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        count_value = context.cast(builder, args[2], sig.args[2], types.int64)
        fill_value = context.cast(builder, args[3], sig.args[3], vector.element)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, vector)
        return _load_first(builder, vector, pointer, count_value, fill_value)

    return vector(array, index, count, fill), build


def _load_first(builder, vector, pointer, count, fill):
    name = f"llvm.masked.load.v{vector.lanes}f{vector.element.bitwidth}.p0"
    alignment = ir.Constant(ir.IntType(32), _element_bytes(vector))
    arguments = [pointer, alignment, _first_lanes_mask(builder, vector, count), _splat(builder, vector, fill)]
    return _call_intrinsic(builder, name, vector.llvm, arguments)


@intrinsic
def keep_first_lanes(typing, value, count):
    """The first `count` lanes of a vector; the others hold 0."""

    def build(context, builder, sig, args):
        count_value = context.cast(builder, args[1], sig.args[1], types.int64)
        return builder.select(_first_lanes_mask(builder, sig.args[0], count_value), args[0], constant(sig.args[0], 0))

    return value(value, count), build


@intrinsic
def store_first(typing, array, index, value, count):
    """As `store`, but only the first `count` lanes are written."""

    def build(context, builder, sig, args):
        vector = sig.args[2]
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        count_value = context.cast(builder, args[3], sig.args[3], types.int64)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, vector)
        name = f"llvm.masked.store.v{vector.lanes}f{vector.element.bitwidth}.p0"
        mask = _first_lanes_mask(builder, vector, count_value)
        _call_intrinsic(
            builder,
            name,
            ir.VoidType(),
            [args[2], pointer, ir.Constant(ir.IntType(32), _element_bytes(vector)), mask],
        )
        return context.get_dummy_value()

    return types.void(array, index, value, count), build


def _splat(builder, vector, scalar):
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    undefined = ir.Constant(vector.llvm, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, zeros)


def _eight(vector, array):
    """Eight neighbours of an array, in its own type."""
    return Vector(array.dtype, vector.lanes)


def _as_float64(builder, vector, value):
    return value if value.type == vector.llvm else builder.fpext(value, vector.llvm)


@intrinsic
def load_float64(typing, array, index):
    """Eight neighbours of a float array, as float64."""
    vector = Vector(types.float64, LANES[types.float64])

    def build(context, builder, sig, args):
        stored = _eight(vector, sig.args[0])
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, stored)
        return _as_float64(builder, vector, builder.load(pointer, align=_element_bytes(stored)))

    return vector(array, index), build


@intrinsic
def load_first_float64(typing, array, index, count, fill):
    """As `load_float64`, but only the first `count` lanes are read; the others hold `fill`."""
    vector = Vector(types.float64, LANES[types.float64])

    def build(context, builder, sig, args):
        stored = _eight(vector, sig.args[0])
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        count_value = context.cast(builder, args[2], sig.args[2], types.int64)
        fill_value = context.cast(builder, args[3], sig.args[3], stored.element)
        pointer = _pointer(context, builder, sig.args[0], args[0], index_value, stored)
        return _as_float64(builder, vector, _load_first(builder, stored, pointer, count_value, fill_value))

    return vector(array, index, count, fill), build


@intrinsic
def load_one(typing, array, index):
    """One element; a negative index counts back from the array's first element in memory, without wrap-around."""

    def build(context, builder, sig, args):
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [index_value]))

    return array.dtype(array, index), build


@intrinsic
def gather_float64(typing, array, start, indices):
    """The elements of a float array at start + indices, as float64."""
    vector = Vector(types.float64, indices.lanes)

    def build(context, builder, sig, args):
        start_value = context.cast(builder, args[1], sig.args[1], types.intp)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        data = builder.gep(data, [start_value])
        found = ir.Constant(Vector(array.dtype, indices.lanes).llvm, ir.Undefined)
        for lane in range(indices.lanes):
            place = ir.Constant(ir.IntType(32), lane)
            one = builder.load(builder.gep(data, [builder.extract_element(args[2], place)]))
            found = builder.insert_element(found, one, place)
        return _as_float64(builder, vector, found)

    return vector(array, start, indices), build


@intrinsic
def scatter(typing, array, start, indices, value):
    """Write a vector's lanes to start + indices; where indices are equal, the first lane wins."""

    def build(context, builder, sig, args):
        start_value = context.cast(builder, args[1], sig.args[1], types.intp)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        data = builder.gep(data, [start_value])
        for lane in reversed(range(sig.args[2].lanes)):
            place = ir.Constant(ir.IntType(32), lane)
            one = builder.extract_element(args[3], place)
            builder.store(one, builder.gep(data, [builder.extract_element(args[2], place)]))
        return context.get_dummy_value()

    return types.void(array, start, indices, value), build


@intrinsic
def store_one(typing, array, index, value):
    """Write one element; indices as for `load_one`."""

    def build(context, builder, sig, args):
        index_value = context.cast(builder, args[1], sig.args[1], types.intp)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(context.cast(builder, args[2], sig.args[2], sig.args[0].dtype), builder.gep(data, [index_value]))
        return context.get_dummy_value()

    return types.void(array, index, value), build


@intrinsic
def full_like(typing, vector, value):
    """A vector of `vector`'s type with `value` in every lane."""

    def build(context, builder, sig, args):
        scalar = context.cast(builder, args[1], sig.args[1], sig.args[0].element)
        return _splat(builder, sig.args[0], scalar)

    return vector(vector, value), build


def _operator(symbol, floating, integral):
    """Define the operator `symbol` in Numba, lane by lane, for two vectors of the same type."""

    @infer_global(symbol)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(symbol, Vector, Vector)
    def build(context, builder, sig, args):
        name = floating if sig.args[0].element in FRACTION_BITS else integral
        return getattr(builder, name)(*args)


_operator(operator.add, "fadd", "add")
_operator(operator.sub, "fsub", "sub")
_operator(operator.mul, "fmul", "mul")


def _compare(builder, vector, symbol, left, right):
    if vector.element in FRACTION_BITS:
        return builder.fcmp_ordered(symbol, left, right)
    return builder.icmp_signed(symbol, left, right)


def _comparison(symbol):
    @intrinsic
    def compare(typing, left, right):
        def build(context, builder, sig, args):
            return _compare(builder, sig.args[0], symbol, *args)

        return left.of(types.boolean)(left, right), build

    return compare


less = _comparison("<")
"""Mask of the lanes where left < right; False where either is NaN."""

equal = _comparison("==")
"""Mask of the lanes where left == right; False where either is NaN."""


@intrinsic
def not_below(typing, left, right):
    """Mask of the lanes where left < right is false: larger, equal, or NaN."""

    def build(context, builder, sig, args):
        return builder.fcmp_unordered(">=", *args)

    return left.of(types.boolean)(left, right), build


@intrinsic
def logical_or(typing, left, right):
    """Mask of the lanes where one of two masks is true."""
    return left(left, right), lambda context, builder, sig, args: builder.or_(*args)


@intrinsic
def any_lane(typing, mask):
    """Whether a mask is true in any lane."""

    def build(context, builder, sig, args):
        whole = ir.IntType(sig.args[0].lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], whole), ir.Constant(whole, 0))

    return types.boolean(mask), build


@intrinsic
def count_lanes(typing, mask):
    """The number of lanes where a mask is true."""

    def build(context, builder, sig, args):
        whole = ir.IntType(sig.args[0].lanes)
        return builder.zext(builder.ctpop(builder.bitcast(args[0], whole)), ir.IntType(64))

    return types.int64(mask), build


@intrinsic
def select(typing, mask, yes, no):
    """`yes` in the lanes where the mask is true, else `no`."""
    return yes(mask, yes, no), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def maximum(typing, left, right):
    """The larger of each pair; if the left one is NaN, the right one."""

    def build(context, builder, sig, args):
        return builder.select(_compare(builder, sig.args[0], ">", *args), *args)

    return left(left, right), build


@intrinsic
def minimum(typing, left, right):
    """The smaller of each pair; if the left one is NaN, the right one."""

    def build(context, builder, sig, args):
        return builder.select(_compare(builder, sig.args[0], "<", *args), *args)

    return left(left, right), build


@intrinsic
def absolute(typing, value):
    """The absolute value of each lane."""

    def build(context, builder, sig, args):
        vector = sig.args[0]
        return _call_intrinsic(builder, f"llvm.fabs.v{vector.lanes}f{vector.element.bitwidth}", vector.llvm, list(args))

    return value(value), build


def _concatenate_from(first):
    """One vector out of two that are neighbours in memory, from lane first(lanes) of both on."""

    @intrinsic
    def joined(typing, left, right):
        def build(context, builder, sig, args):
            width = sig.args[0].lanes
            start = first(width)
            index = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width)))
            return builder.shuffle_vector(*args, index)

        return left(left, right), build

    return joined


one_before = _concatenate_from(lambda lanes: lanes - 1)
"""The vector one element before the right one: the last lane of the left, then the right one without its last."""

two_before = _concatenate_from(lambda lanes: lanes - 2)
"""The vector two elements before the right one."""

four_before = _concatenate_from(lambda lanes: lanes - 4)
"""The vector four elements before the right one."""

one_after = _concatenate_from(lambda lanes: 1)
"""The vector one element after the left one: the left vector without its first lane, then the first of the right."""


@intrinsic
def transpose_rows(typing, array, places):
    """Eight rows of eight float64, transposed; row i begins at places[i] of `array`.

    Rows are read in pairs of neighbours, so that no pair has to move from one half of a register to the other.
    """
    vector = Vector(types.float64, len(places))

    def build(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        rows = [builder.gep(data, [place]) for place in cgutils.unpack_tuple(builder, args[1])]
        found = []
        for column in range(0, vector.lanes, 2):
            even, odd = (_pairs(builder, vector, rows[first::2], column) for first in (0, 1))
            for lane in (0, 1):
                picked = [side * vector.lanes + at + lane for at in range(0, vector.lanes, 2) for side in (0, 1)]
                index = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), picked)
                found.append(builder.shuffle_vector(even, odd, index))
        return context.make_tuple(builder, sig.return_type, found)

    return types.UniTuple(vector, len(places))(array, places), build


def _pairs(builder, vector, rows, column):
    """Two neighbouring elements of each of four rows, joined to one vector."""
    pair = ir.VectorType(ir.DoubleType(), 2)
    found = []
    for row in rows:
        pointer = builder.bitcast(builder.gep(row, [ir.Constant(ir.IntType(64), column)]), pair.as_pointer())
        found.append(builder.load(pointer, align=_element_bytes(vector)))
    while len(found) > 1:
        width = 2 * found[0].type.count
        index = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width)))
        found = [builder.shuffle_vector(*two, index) for two in zip(found[::2], found[1::2], strict=True)]
    return found[0]


def _reduction(combine):
    """A horizontal reduction: halves are combined until one number is left, in the same order on every machine."""

    @intrinsic
    def fold(typing, vector):
        def build(context, builder, sig, args):
            value, width = args[0], sig.args[0].lanes
            while width > 1:
                width //= 2
                index = ir.VectorType(ir.IntType(32), width)
                halves = [
                    builder.shuffle_vector(
                        value,
                        ir.Constant(value.type, ir.Undefined),
                        ir.Constant(index, list(range(start, start + width))),
                    )
                    for start in (0, width)
                ]
                value = combine(builder, Vector(sig.args[0].element, width), *halves)
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return vector.element(vector), build

    return fold


def _sum(builder, vector, left, right):
    return builder.fadd(left, right) if vector.element in FRACTION_BITS else builder.add(left, right)


def _largest(builder, vector, left, right):
    return builder.select(_compare(builder, vector, ">", left, right), left, right)


def _smallest(builder, vector, left, right):
    return builder.select(_compare(builder, vector, "<", left, right), left, right)


reduce_sum = _reduction(_sum)
"""The sum of a vector's lanes, pairwise."""

reduce_max = _reduction(_largest)
"""The largest of a vector's lanes."""

reduce_min = _reduction(_smallest)
"""The smallest of a vector's lanes."""


@intrinsic
def to_int32(typing, value):
    """int64 values within int32 as int32: half the registers, and the maximum is one instruction."""
    narrowed = value.of(types.int32)
    return narrowed(value), lambda context, builder, sig, args: builder.trunc(args[0], narrowed.llvm)


@intrinsic
def to_int64(typing, value):
    """int32 values as int64."""
    widened = value.of(types.int64)
    return widened(value), lambda context, builder, sig, args: builder.sext(args[0], widened.llvm)


@intrinsic
def convert_like(typing, value, array):
    """A vector converted to an array's element type."""

    def build(context, builder, sig, args):
        old, new = sig.args[0], sig.return_type
        if old.element.bitwidth == new.element.bitwidth:
            return args[0]
        floating = old.element in FRACTION_BITS
        if old.element.bitwidth > new.element.bitwidth:
            return (builder.fptrunc if floating else builder.trunc)(args[0], new.llvm)
        return (builder.fpext if floating else builder.sext)(args[0], new.llvm)

    return value.of(array.dtype)(value, array), build


@intrinsic
def multiply_add(typing, left, right, added):
    """left * right + added, rounded once on machines with fused multiply-add, otherwise twice."""

    def build(context, builder, sig, args):
        vector = sig.args[0]
        name = f"llvm.fmuladd.v{vector.lanes}f{vector.element.bitwidth}"
        return _call_intrinsic(builder, name, vector.llvm, list(args))

    return left(left, right, added), build
