"""One frame of the recursion, in registers: labels a[l] and the blanks before them b[l] (Graves' α), in two arrays.

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

`seqloss.formulas.ctc.recursion.step` is the same with whole arrays. Both passes use it: a backward pass reads the
frames and labels of the row in reverse order. So each pass begins on its first blank, and ends on label count - 1 or on
blank count.

**Layout.** A column l is a label and the blank before it. Each lane of a warp holds PARTS neighbouring columns, in a
tuple of PARTS tensors (lines, lanes). The only shifted operand is the label before. Within a lane it is the part
before; only the last part of a lane is gathered from the lane before. (A gather along the whole axis would take a
shuffle for each pair of registers.) The lanes of a warp are a line. Short targets share a warp, one line each. A long
target has several lines, one per warp; the last label of a line passes through shared memory to the next. The last
label of a block, its `edge`, passes to the next block.

**Values per line**, such as a length, a count or the number of a frame, are (lines, 1) if the lines belong to several
rows, and a scalar if they belong to one row: a scalar has no layout and needs no barrier between warps. But values that
are loaded ahead for a later frame are loaded by each lane that needs them, even if all are equal: a scalar would go to
a register that the lanes of a warp share, and the move there waits for the load.

**`tl.max_contiguous(places, [1, 2])`** tells the compiler that the lanes of a warp are along the second axis of the
addresses (lines, lanes). Each lane has one of them, so no access spans two, and neighbours need not be neighbours in
memory. Without it, Triton 3.6 distributes addresses in no ascending order along the first axis, and the loaded values
move between warps. The hint applies to the operation that computes the addresses, in the same function.

**The main path.** If the best classes of a row spell the target, its backward pass sums all *other* paths. The weight
of the main path, 1, is added where a path leaves it, and excluded where it stays. Other passes skip
this.
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
"""The state of the main path in passes without one: it equals no state and precedes none."""


@triton.jit
def load_emissions(emissions, at, columns, inside, blanks, alive, longest, PARTS: tl.constexpr):
    """Load the emissions of a frame: of its labels, a tuple of tensors (lines, lanes), and of its blank.

    Both are packed extended-exponent numbers. The blank's is loaded in each lane of `blanks`.

    Args:
        at: the number of the frame among the frames of all rows.
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
    """The value of the line before: (lines,) to (lines, 1); undefined in the first line."""
    moved = tl.gather(pack(value, exponent), tl.maximum(tl.arange(0, LINES) - 1, 0), 0)
    value, exponent = unpack(moved)
    return value[:, None], exponent[:, None]


@triton.jit
def previous_label(
    a, a_exponent, edge, edge_exponent, lane, LINES: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr,
    CHUNKS: tl.constexpr,
):  # fmt: skip
    """a[l-1] of each part, a tuple of tensors (lines, lanes)."""
    last, last_exponent = a[PARTS - 1], a_exponent[PARTS - 1]
    # 1. what enters a line: the last lane of the line before, or `edge` in the first line of a row.
    #    The sum selects the last lane: a sum of integers over a warp is one instruction
    if CHUNKS > 1:
        leaving = tl.sum(tl.where(lane == LANES - 1, last.to(tl.int32, bitcast=True), 0), 1)
        leaving_exponent = tl.sum(tl.where(lane == LANES - 1, last_exponent, 0), 1)
        value, exponent = previous_line(leaving.to(tl.float32, bitcast=True), leaving_exponent, LINES)
        first = (tl.arange(0, LINES) % CHUNKS == 0)[:, None]
        edge, edge_exponent = tl.where(first, edge, value), tl.where(first, edge_exponent, exponent)
    # 2. the first part: the last part of the lane before
    lane_before = tl.broadcast_to(tl.maximum(lane - 1, 0), last.shape)
    value = (tl.where(lane == 0, edge, tl.gather(last, lane_before, 1)),)
    exponent = (tl.where(lane == 0, edge_exponent, tl.gather(last_exponent, lane_before, 1)),)
    # 3. the other parts: the part before
    for i in tl.static_range(PARTS - 1):
        value, exponent = value + (a[i],), exponent + (a_exponent[i],)
    return value, exponent


@triton.jit
def sum_predecessors(
    a, a_exponent, b, b_exponent, edge, edge_exponent, skip, lane, LINES: tl.constexpr, LANES: tl.constexpr,
    PARTS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """The sum of each state's predecessors, before the frame's emissions; not normalised.

    Terms are shifted to the largest exponent among them and added.
    """
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
    """Add 1 to the states that follow the main path's `state`: itself, the next, and the next label where `skip`."""
    on_label = state & 1
    main_label = state >> 1
    all_a, all_a_exponent, all_b, all_b_exponent = (), (), (), ()
    for i in tl.static_range(PARTS):
        x, x_exponent = indicator(place + i == main_label + on_label)
        x, x_exponent = add_extended(into_b[i], b_top[i], x, x_exponent)
        all_b, all_b_exponent = all_b + (x,), all_b_exponent + (x_exponent,)
        onward = skip[i] & (on_label == 1) & (place + i == main_label + 1)
        x, x_exponent = indicator((place + i == main_label) | onward)
        x, x_exponent = add_extended(into_a[i], a_top[i], x, x_exponent)
        all_a, all_a_exponent = all_a + (x,), all_a_exponent + (x_exponent,)
    return all_a, all_a_exponent, all_b, all_b_exponent


@triton.jit
def exclude_main_path(rest, rest_exponent, entered, entered_exponent, first, next_state, PARTS: tl.constexpr):
    """`rest`, without the main path, in the main path's `next_state`, and `entered`, with it, elsewhere.

    Args:
        first: the state of each lane's first part.
    """
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
    """One step of the recursion.

    Args:
        a, b: labels and the blanks before them, tuples of tensors (lines, lanes).
        edge: the label before the block, needed in its first lane only.
        p, q: the emissions of the frame, packed: of its labels, a tuple of tensors (lines, lanes), and of its blank, in
            each lane that needs it.
        state, next_state: the states of the main path before the frame and in it, or NOWHERE, in each lane that needs
            them; any_main: whether any row has a main path.
        skip: masks of the labels that may follow the one before without a blank between.
        place: (lines, lanes), the first column of each lane.

    Returns:
        a, b after the frame; the sums of their predecessors, without the emissions of the frame.
    """
    # 1. predecessors
    into_a, a_top, into_b, b_top = sum_predecessors(
        a, a_exponent, b, b_exponent, edge, edge_exponent, skip, lane, LINES, LANES, PARTS, CHUNKS
    )  # fmt: skip
    new_a, new_a_exponent, new_b, new_b_exponent = into_a, a_top, into_b, b_top
    # 2. add the main path's weight where a path leaves it, not where a path stays on it
    if any_main:
        all_a, all_a_top, all_b, all_b_top = add_main_path(into_a, a_top, into_b, b_top, state, skip, place, PARTS)
        new_a, new_a_exponent = exclude_main_path(into_a, a_top, all_a, all_a_top, 2 * place + 1, next_state, PARTS)
        new_b, new_b_exponent = exclude_main_path(into_b, b_top, all_b, all_b_top, 2 * place, next_state, PARTS)
        into_a, a_top, into_b, b_top = all_a, all_a_top, all_b, all_b_top
    # 3. times the emissions, normalised
    a, a_exponent, b, b_exponent = (), (), (), ()
    of_blank, of_blank_exponent = unpack(q)
    for i in tl.static_range(PARTS):
        of_label, of_label_exponent = unpack(p[i])
        value, exponent = multiply_extended(new_a[i], new_a_exponent[i], of_label, of_label_exponent)
        a, a_exponent = a + (value,), a_exponent + (exponent,)
        value, exponent = multiply_extended(new_b[i], new_b_exponent[i], of_blank, of_blank_exponent)
        b, b_exponent = b + (value,), b_exponent + (exponent,)
    return a, a_exponent, b, b_exponent, into_a, a_top, into_b, b_top
