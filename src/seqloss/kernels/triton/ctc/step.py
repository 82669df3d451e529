"""One frame of the recursion, in registers: labels a[l] and the blanks before them b[l], in two arrays.

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

`seqloss.formulas.ctc.recursion.step` says it in whole arrays. Both ways use it: a backward walk reads the row's frames
and labels in reverse, from its own last ones, so that every walk begins on its first blank, and ends on label count - 1
or blank count.

A block of columns l lies in the lanes of a warp, each with PARTS neighbours, in a tuple of as many tensors (lines,
lanes). The only shifted operand is the label before: that of a part is the part before, and what leaves a lane alone is
gathered from the lane before. (A gather along the whole axis would cost a shuffle for each pair of registers of a
warp.) What a warp holds is a line: short targets share a warp, one line each; a long target's lines follow each other,
one in each warp, and what leaves a line goes through shared memory. What enters a block's first line, its `edge`, comes
from the block before.

What each line has one of (a length, a count, a frame's number) is (lines, 1) where the lines are several rows', and a
plain number where they are one row's: a number needs no layout, and so no barrier between warps. But what is fetched
for a frame to come each lane fetches by itself, where it has a use for it, even if it is the same for all: a number
would go to a register that a warp's lanes share, and the move there waits until it has come.

`tl.max_contiguous(places, [1, 2])` says of places in memory (lines, lanes) that the lanes of a warp share the second
axis. Each lane has one of them, so that no access spans two, and neighbours need not be neighbours in memory. Left to
itself, Triton 3.6 shares out what lies in no ascending order along the first axis, and what it loads so goes from warp
to warp. What is said counts for the operation that makes the places, in the same function.

A backward walk of a row whose main path reads as the target sums all *other* paths; the main path's own weight, 1,
enters where it leaves that path, and is left out where it stays. In other walks there is nothing to add, and the
program skips it.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import triton
import triton.language as tl

from seqloss.kernels.triton.extended_exponent import (
    PACKED_ZERO,
    ZERO_EXPONENT,
    add_extended,
    indicator,
    multiply_extended,
    pack,
    shift_to,
    unpack,
)

NOWHERE = tl.constexpr(-8)
"""The main path's state in walks that have none: none that a label or blank could have, or be entered from."""


@triton.jit
def load_emissions(emissions, at, columns, inside, blanks, alive, longest, PARTS: tl.constexpr):
    """What a frame's labels emit, a tuple of packed extended-exponent numbers (lines, lanes), and its blank, where
    `blanks` are.

    Args:
        at: the frame's number among those of all rows.
    """
    labels = ()
    line = emissions + at * (longest + 1)
    for i in tl.static_range(PARTS):
        place = tl.max_contiguous(line + columns[i], [1, 2])
        labels = labels + (tl.load(place, mask=inside[i] & alive, other=PACKED_ZERO),)
    place = tl.max_contiguous(line + longest + tl.where(blanks, 0, columns[0]), [1, 2])
    return labels, tl.load(place, mask=blanks & alive, other=PACKED_ZERO)


@triton.jit
def previous_line(value, exponent, LINES: tl.constexpr):
    """What each line holds, (lines,), one line on: (lines, 1), in the first line anything."""
    moved = tl.gather(pack(value, exponent), tl.maximum(tl.arange(0, LINES) - 1, 0), 0)
    value, exponent = unpack(moved)
    return value[:, None], exponent[:, None]


@triton.jit
def previous_label(
    a, a_exponent, edge, edge_exponent, lane, LINES: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr,
    CHUNKS: tl.constexpr,
):  # fmt: skip
    """a[l-1] of each part."""
    last, last_exponent = a[PARTS - 1], a_exponent[PARTS - 1]
    if CHUNKS > 1:  # sums of whole numbers are one instruction
        leaving = tl.sum(tl.where(lane == LANES - 1, last.to(tl.int32, bitcast=True), 0), 1)
        leaving_exponent = tl.sum(tl.where(lane == LANES - 1, last_exponent, 0), 1)
        value, exponent = previous_line(leaving.to(tl.float32, bitcast=True), leaving_exponent, LINES)
        first = (tl.arange(0, LINES) % CHUNKS == 0)[:, None]
        edge, edge_exponent = tl.where(first, edge, value), tl.where(first, edge_exponent, exponent)
    lane_before = tl.broadcast_to(tl.maximum(lane - 1, 0), last.shape)
    value = (tl.where(lane == 0, edge, tl.gather(last, lane_before, 1)),)
    exponent = (tl.where(lane == 0, edge_exponent, tl.gather(last_exponent, lane_before, 1)),)
    for i in tl.static_range(PARTS - 1):
        value, exponent = value + (a[i],), exponent + (a_exponent[i],)
    return value, exponent


@triton.jit
def sum_predecessors(
    a, a_exponent, b, b_exponent, edge, edge_exponent, skip, lane, LINES: tl.constexpr, LANES: tl.constexpr,
    PARTS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """The sums that enter each label and each blank, before the frame emits; not normalised."""
    previous, previous_exponent = previous_label(
        a, a_exponent, edge, edge_exponent, lane, LINES, LANES, PARTS, CHUNKS
    )  # fmt: skip
    into_a, a_top, into_b, b_top = (), (), (), ()
    for i in tl.static_range(PARTS):
        top = tl.maximum(b_exponent[i], previous_exponent[i])
        into_b = into_b + (shift_to(b[i], b_exponent[i], top) + shift_to(previous[i], previous_exponent[i], top),)
        b_top = b_top + (top,)
        ahead_exponent = tl.where(skip[i], previous_exponent[i], ZERO_EXPONENT)
        top = tl.maximum(tl.maximum(a_exponent[i], b_exponent[i]), ahead_exponent)
        ahead = shift_to(tl.where(skip[i], previous[i], 0.0), ahead_exponent, top)
        into_a = into_a + (shift_to(b[i], b_exponent[i], top) + ahead + shift_to(a[i], a_exponent[i], top),)
        a_top = a_top + (top,)
    return into_a, a_top, into_b, b_top


@triton.jit
def add_main_path(into_a, a_top, into_b, b_top, state, skip, place, PARTS: tl.constexpr):
    """With what enters from the main path's `state`."""
    on_label = state & 1
    stands = state >> 1
    all_a, all_a_exponent, all_b, all_b_exponent = (), (), (), ()
    for i in tl.static_range(PARTS):
        x, x_exponent = indicator(place + i == stands + on_label)
        x, x_exponent = add_extended(into_b[i], b_top[i], x, x_exponent)
        all_b, all_b_exponent = all_b + (x,), all_b_exponent + (x_exponent,)
        onward = skip[i] & (on_label == 1) & (place + i == stands + 1)
        x, x_exponent = indicator((place + i == stands) | onward)
        x, x_exponent = add_extended(into_a[i], a_top[i], x, x_exponent)
        all_a, all_a_exponent = all_a + (x,), all_a_exponent + (x_exponent,)
    return all_a, all_a_exponent, all_b, all_b_exponent


@triton.jit
def exclude_main_path(rest, rest_exponent, entered, entered_exponent, first, next_state, PARTS: tl.constexpr):
    """What entered, but in the main path's `next_state` what entered besides it; `first` numbers the first part."""
    value, exponent = (), ()
    for i in tl.static_range(PARTS):
        stays = first + 2 * i == next_state
        value = value + (tl.where(stays, rest[i], entered[i]),)
        exponent = exponent + (tl.where(stays, rest_exponent[i], entered_exponent[i]),)
    return value, exponent


@triton.jit
def step_frame(
    a, a_exponent, b, b_exponent, edge, edge_exponent, p, q, state, next_state, any_main, skip,
    place, lane, LINES: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """One frame on.

    Args:
        a, b: labels and the blanks before them, tuples of (lines, lanes); edge: the label before the block, in its
            first lane at least.
        p, q: what the frame's labels emit, a tuple of packed extended-exponent numbers (lines, lanes), and its blank,
        in each lane
            that has a use for it.
        state, next_state: the main path's, before the frame and in it, so too, or NOWHERE; any_main: whether any row
            has one.
        skip: labels that may follow the one before without a blank between.
        place: of each lane's first column in the target, (lines, lanes).

    Returns:
        a, b after the frame, and what entered them, without what the frame itself emits.
    """
    into_a, a_top, into_b, b_top = sum_predecessors(
        a, a_exponent, b, b_exponent, edge, edge_exponent, skip, lane, LINES, LANES, PARTS, CHUNKS
    )  # fmt: skip
    new_a, new_a_exponent, new_b, new_b_exponent = into_a, a_top, into_b, b_top
    if any_main:
        all_a, all_a_top, all_b, all_b_top = add_main_path(into_a, a_top, into_b, b_top, state, skip, place, PARTS)
        new_a, new_a_exponent = exclude_main_path(into_a, a_top, all_a, all_a_top, 2 * place + 1, next_state, PARTS)
        new_b, new_b_exponent = exclude_main_path(into_b, b_top, all_b, all_b_top, 2 * place, next_state, PARTS)
        into_a, a_top, into_b, b_top = all_a, all_a_top, all_b, all_b_top
    a, a_exponent, b, b_exponent = (), (), (), ()
    of_blank, of_blank_exponent = unpack(q)
    for i in tl.static_range(PARTS):
        of_label, of_label_exponent = unpack(p[i])
        value, exponent = multiply_extended(new_a[i], new_a_exponent[i], of_label, of_label_exponent)
        a, a_exponent = a + (value,), a_exponent + (exponent,)
        value, exponent = multiply_extended(new_b[i], new_b_exponent[i], of_blank, of_blank_exponent)
        b, b_exponent = b + (value,), b_exponent + (exponent,)
    return a, a_exponent, b, b_exponent, into_a, a_top, into_b, b_top
