"""The forward pass over a row's blocks: the sum over all paths to each state, Graves' α.

`blocks.py` explains blocks, their exponents, and why no term is lost.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.ctc.blocks import (
    DEEPEST,
    DONE,
    TOO_DEEP,
    TOO_STEEP,
    first_chunk,
    frame_number,
    last_chunk,
    open_block,
    zero_vector,
)
from seqloss.kernels.ctc.layout import LANES, chunk_count, keeps_label_emissions
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.vectors import (
    full_like,
    gather_float64,
    load,
    load_one,
    multiply_add,
    one_before,
    store,
    store_one,
)


@inlined
def label_emissions_offset(row, t):
    """The place of the label emissions of a block that begins with frame t."""
    return t * chunk_count(row.labels) * LANES if keeps_label_emissions(row.frames, row.labels) else 0


@subroutine
def write_label_emissions(row, space, t, k, first, last):
    """Write the emissions of the labels of chunks first..last, for k frames from t on: (k, labels).

    The recursion then reads neighbouring labels with one vector load; gathering them is done here once, before the
    chain of dependent additions and multiplications.
    """
    width, begin = chunk_count(row.labels) * LANES, label_emissions_offset(row, t)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        slots = load(row.slot, l)
        for i in range(k):
            store(
                space.label_emissions,
                begin + i * width + l,
                gather_float64(row.emissions, frame_number(row, t + i) * row.slots, slots),
            )


@inlined
def _step_forward(row, space, from_, at, to, emitted, t, first, last):
    """One step of α: the sums after frame t, from those before it.

    Args:
        from_, at: the array and the place of the states before; to: the place in `space.sums` of those after.
        emitted: the place of the frame's label emissions.
        first, last: the chunks to compute.
    """
    width = chunk_count(row.labels) * LANES
    before = zero_vector(row)
    blank = full_like(before, load_one(row.emissions, frame_number(row, t) * row.slots + row.blank))
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        # y: labels, b: the blanks before them; v: the label before, in this label's units
        y, b = load(from_, at + l), load(from_, at + width + l)
        v = one_before(before, y) * load(space.scales, l)
        fed = multiply_add(load(row.skip, l), v, y + b)
        store(space.sums, to + l, fed * load(space.label_emissions, emitted + l))
        store(space.sums, to + width + l, (b + v) * blank)
        before = y


@subroutine
def _sum_block(row, space, t, k, opened, at, step, first, last):
    """The sums of a block's k frames: the first at `at`, each next one `step` further.

    The first frame reads the states at the block's start, which are in the block's units already.
    """
    width, emitted = chunk_count(row.labels) * LANES, label_emissions_offset(row, t)
    _step_forward(row, space, space.opened, opened, at, emitted, t, first, last)
    for i in range(1, k):
        _step_forward(
            row, space, space.sums, at + (i - 1) * step, at + i * step, emitted + i * width, t + i, first, last
        )


@subroutine
def start_alpha(row, space):
    """α before the first frame: 1 on the first blank, 0 elsewhere."""
    width = chunk_count(row.labels) * LANES
    zero = zero_vector(row)
    store(space.sums, 0, zero)
    store(space.sums, width, zero)
    store_one(space.sums, width, 1.0)
    store(space.exponents, 0, full_like(load(space.exponents, 0), 0))


@subroutine
def sum_forward(row, space, start, end, keep, bottom, top):
    """Run α from frame `start` to frame `end`, block by block.

    Args:
        start: the states before this frame are the first of `space.sums`.
        keep: store the sums of all frames, and the start of each block. Otherwise the sums of the last frame replace
            the first of `space.sums`, and exponents and starts alternate between two places.
        bottom, top: the first and the last chunk to compute.

    Returns:
        the number of blocks, and DONE, TOO_DEEP or TOO_STEEP.
    """
    width = chunk_count(row.labels) * LANES
    step = 2 * width if keep else 0
    t, block, turn = start, 0, 0
    while t < end:
        # 1. a single frame deeper than a block may be: no block can begin here
        if load_one(row.depths, frame_number(row, t)) > DEEPEST:
            return block, TOO_DEEP
        # 2. choose the block's length and exponents
        before = turn * width
        block += 1
        turn = block if keep else 1 - turn
        at = (t - start) * step
        k = open_block(row, space, t, end, at, before, turn * width, turn * 2 * width, bottom, top)
        if k == 0:
            return block, TOO_STEEP
        # 3. gather its emissions and run the recursion over the chunks that are reached and can still end
        first, last = max(bottom, first_chunk(row, t)), min(top, last_chunk(row, t + k))
        store_one(space.firsts, turn, t)
        store_one(space.firsts, turn + 1, t + k)
        write_label_emissions(row, space, t, k, first, last)
        _sum_block(row, space, t, k, turn * 2 * width, at + step, step, first, last)
        t += k
    if turn and not keep:  # the exponents of the last frame go with its states, to the first place
        for l in range(0, width, LANES):
            store(space.exponents, l, load(space.exponents, turn * width + l))
    return block, DONE


@subroutine
def save_segment_start(row, space, number):
    """Save the states that segment `number` starts with."""
    width = chunk_count(row.labels) * LANES
    for l in range(0, width, LANES):
        store(space.saved, number * 2 * width + l, load(space.sums, l))
        store(space.saved, number * 2 * width + width + l, load(space.sums, width + l))
        store(space.saved_exponents, number * width + l, load(space.exponents, l))


@subroutine
def restore_segment_start(row, space, number):
    """Restore the states that segment `number` starts with."""
    width = chunk_count(row.labels) * LANES
    for l in range(0, width, LANES):
        store(space.sums, l, load(space.saved, number * 2 * width + l))
        store(space.sums, width + l, load(space.saved, number * 2 * width + width + l))
        store(space.exponents, l, load(space.saved_exponents, number * width + l))


@inlined
def add_scalars(m1, e1, m2, e2):
    """The sum of two numbers m * 2^e, not normalised; returns mantissa and exponent."""
    if m1 == 0.0:
        return m2, e2
    if m2 == 0.0:
        return m1, e1
    top = max(e1, e2)
    return math.ldexp(m1, np.int32(max(e1 - top, -2000))) + math.ldexp(m2, np.int32(max(e2 - top, -2000))), top


@subroutine
def sum_all_paths(row, space, at, here):
    """The sum over all paths, p(l|x) up to the frames' largest scores: a mantissa (0 if no path fits) and an exponent.

    Paths end in the last label or in the last blank.

    Args:
        at, here: the places of the sums of the last frame and of their exponents.
    """
    width = chunk_count(row.labels) * LANES
    m, e = math.frexp(space.sums[at + width + row.labels])
    e += space.exponents[here + row.labels]
    if row.labels > 0:
        m2, e2 = math.frexp(space.sums[at + row.labels - 1])
        m, e = add_scalars(m, e, m2, e2 + space.exponents[here + row.labels - 1])
    return m, e
