"""The backward pass over a row's blocks: β, and from the stored forward sums the posteriors of each frame.

`blocks.py` explains blocks, their exponents, and why no term is lost. Here β of a state does not contain the emission
of its own frame: posterior = α β (Graves' β does, and he divides by it).
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.ctc.blocks import (
    NEGLIGIBLE,
    ZERO_EXPONENT,
    first_chunk,
    frame_number,
    last_chunk,
    scale_by_power,
    write_block_scales,
    zero_vector,
)
from seqloss.kernels.ctc.forward import label_emissions_offset, write_label_emissions
from seqloss.kernels.ctc.layout import FRAMES, LANES, chunk_count, keeps_label_emissions
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.vectors import (
    equal,
    full_like,
    load,
    load_one,
    multiply_add,
    one_after,
    reduce_sum,
    select,
    store,
    store_one,
    to_int32,
    to_int64,
    transpose_rows,
)


@subroutine
def start_beta(row, space, here, total_m, total_e):
    """β after the last frame: 1 / p(l|x) on the last label and on the last blank, 0 elsewhere."""
    width = chunk_count(row.labels) * LANES
    zero = zero_vector(row)
    for l in range(0, width, LANES):
        store(space.beta, l, zero)
        store(space.beta, width + l, zero)
        store(space.beta_exponents, l, load(space.exponents, here + l))
    for at, l in ((width, row.labels), (0, row.labels - 1)):
        if l >= 0 and space.exponents[here + l] != ZERO_EXPONENT:
            up = min(max(space.exponents[here + l] - total_e, -2000), 2000)
            space.beta[at + l] = math.ldexp(1.0 / total_m, np.int32(up))


@subroutine
def compute_block_posteriors(row, space, start, block, bottom, low, high):
    """Write the posteriors of a block's frames, not normalised, and their totals, and take β to the block's start.

    Args:
        start, bottom: the segment's first frame and first chunk.
        low, high: the first and the last chunk in which β may be other than 0, at the block's end.

    Returns:
        low and high at the block's start.
    """
    width = chunk_count(row.labels) * LANES
    begin, here = load_one(space.firsts, block), block * width
    frames = load_one(space.firsts, block + 1) - begin
    first = max(bottom, first_chunk(row, begin), low - 2)
    last = min(last_chunk(row, begin + frames), high)
    # 1. β from the units of the later block to this block's; a label without paths (absent) has β 0
    zero = zero_vector(row)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = to_int32(load(space.exponents, here + l))
        up = own - to_int32(load(space.beta_exponents, l))
        absent = equal(own, full_like(own, ZERO_EXPONENT))
        for at in (l, width + l):
            store(space.beta, at, select(absent, zero, scale_by_power(load(space.beta, at), up)))
        store(space.beta_exponents, l, select(absent, full_like(to_int64(own), 0), to_int64(own)))
    # 2. G and the label emissions of this block, which the forward pass may have overwritten
    write_block_scales(space, here, first, last)
    if not keeps_label_emissions(row.frames, row.labels):
        write_label_emissions(row, space, begin, frames, first, last)
    # 3. the recursion, last frame first: α of each label becomes its posterior, in place; blanks are summed at once
    for u in range(0, row.slots * FRAMES, LANES):
        store(space.by_number, u, zero)
    sums = (begin - start + 1) * 2 * width
    for i in range(frames - 1, -1, -1):
        emitted = label_emissions_offset(row, begin) + i * width
        blank = _step_back(row, space, begin + i, emitted, sums + i * 2 * width, first, last)
        store_one(space.by_number, row.blank * FRAMES + i, blank)
    # 4. posteriors by class: eight labels by eight frames are transposed, so that a label adds eight frames at once to
    #    its class, and labels of one class are added in order
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        for i in range(0, frames, LANES):
            by_label = transpose_rows(space.sums, _row_offsets(sums + l, 2 * width, i, frames))
            for j in range(LANES):
                to = load_one(row.slot, l + j) * FRAMES + i
                store(space.by_number, to, load(space.by_number, to) + by_label[j])
    # 5. (slots, frames) to (frames, slots), and the total of each frame
    for i in range(0, frames, LANES):
        total = zero
        for u in range(0, row.slots, LANES):
            places = _row_offsets(i, FRAMES, u, u + LANES)
            total = total + _sum_rows(space.by_number, places)
            by_frame = transpose_rows(space.by_number, places)
            for j in range(LANES):
                store(space.posteriors, (i + j) * row.slots + u, by_frame[j])
        store(space.totals, i, total)
    return drop_negligible_chunks(row, space, block * 2 * width, first, last)


@inlined
def _row_offsets(start, step, first, end):
    """The offsets of rows first..first+7, row r at start + r * step; past `end`, those of the last row."""
    a, b, c, d = first, min(first + 1, end - 1), min(first + 2, end - 1), min(first + 3, end - 1)
    e, f, g, h = min(first + 4, end - 1), min(first + 5, end - 1), min(first + 6, end - 1), min(first + 7, end - 1)
    return (
        start + a * step, start + b * step, start + c * step, start + d * step,
        start + e * step, start + f * step, start + g * step, start + h * step,
    )  # fmt: skip


@inlined
def _sum_rows(array, places):
    """The sum of eight vectors, in pairs."""
    a, b, c, d, e, f, g, h = places
    left = (load(array, a) + load(array, b)) + (load(array, c) + load(array, d))
    return left + ((load(array, e) + load(array, f)) + (load(array, g) + load(array, h)))


@inlined
def _step_back(row, space, t, emitted, at, first, last):
    """One step of β; the α of frame t's labels become their posteriors; returns the posterior of the blank.

    Chunks are visited from the last to the first, because β of a label needs the label after it.
    """
    width = chunk_count(row.labels) * LANES
    zero = zero_vector(row)
    blank = full_like(zero, load_one(row.emissions, frame_number(row, t) * row.slots + row.blank))
    after, blanks = zero, zero
    for l in range(last * LANES, first * LANES - LANES, -LANES):
        # posterior = α β, before the frame's emission enters β
        y, b = load(space.beta, l), load(space.beta, width + l)
        store(space.sums, at + l, load(space.sums, at + l) * y)
        blanks = multiply_add(load(space.sums, at + width + l), b, blanks)
        # β one frame earlier: label l leads to itself and to the next label (after u), blank l to itself and to label l
        y = y * load(space.label_emissions, emitted + l)
        b = b * blank
        u = multiply_add(load(row.skip, l), y, b) * load(space.scales, l)
        store(space.beta, l, y + one_after(u, after))
        store(space.beta, width + l, b + y)
        after = u
    return reduce_sum(blanks)


@inlined
def drop_negligible_chunks(row, space, opened, first, last):
    """The first and the last chunk whose posterior at a block's start is not NEGLIGIBLE; first chunks are cleared."""
    width = chunk_count(row.labels) * LANES
    zero = zero_vector(row)
    while first < last and _posterior_of_chunk(space, opened, width, first) < NEGLIGIBLE:
        store(space.beta, first * LANES, zero)
        store(space.beta, width + first * LANES, zero)
        first += 1
    while first < last and _posterior_of_chunk(space, opened, width, last) < NEGLIGIBLE:
        last -= 1
    return first, last


@inlined
def _posterior_of_chunk(space, opened, width, c):
    """The posterior of all states of a chunk at a block's start."""
    l = c * LANES
    labels = load(space.opened, opened + l) * load(space.beta, l)
    return reduce_sum(labels + load(space.opened, opened + width + l) * load(space.beta, width + l))
