"""Back through a row's blocks: the posteriors of each frame, from the sums that the way forward has left.

What a block is, and why nothing is lost in it, stands in `blocks.py`.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.ctc.blocks import (
    NEGLIGIBLE,
    NOTHING,
    first_chunk,
    frame_number,
    last_chunk,
    scaled,
    set_scales,
    zeros,
)
from seqloss.kernels.ctc.forward import spread_at, spread_labels
from seqloss.kernels.ctc.layout import FRAMES, LANES, chunks, keeps_spread
from seqloss.kernels.numba.compilation import inlined, part
from seqloss.kernels.numba.vectors import (
    columns,
    equal,
    fold_sum,
    like,
    load,
    multiply_add,
    narrow,
    one_after,
    pick,
    put,
    select,
    store,
    widen,
)


@part
def start_back(row, space, here, total_m, total_e):
    """β after the last frame: the path has ended in the last label or the last blank."""
    width = chunks(row.labels) * LANES
    zero = zeros(row)
    for l in range(0, width, LANES):
        store(space.beta, l, zero)
        store(space.beta, width + l, zero)
        store(space.beta_exponents, l, load(space.exponents, here + l))
    for at, l in ((width, row.labels), (0, row.labels - 1)):
        if l >= 0 and space.exponents[here + l] != NOTHING:
            up = min(max(space.exponents[here + l] - total_e, -2000), 2000)
            space.beta[at + l] = math.ldexp(1.0 / total_m, np.int32(up))


@part
def posteriors(row, space, start, block, bottom, low, high):
    """Write the posteriors of a block's frames, not yet normalised, and their totals, and take β through it.

    Args:
        start, bottom: the segment's first frame and first chunk.
        low, high: the chunks outside which β is 0 or left out.

    Returns:
        those at the block's start.
    """
    width = chunks(row.labels) * LANES
    begin, here = pick(space.firsts, block), block * width
    frames = pick(space.firsts, block + 1) - begin
    first = max(bottom, first_chunk(row, begin), low - 2)
    last = min(last_chunk(row, begin + frames), high)
    zero = zeros(row)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = narrow(load(space.exponents, here + l))
        up = own - narrow(load(space.beta_exponents, l))
        absent = equal(own, like(own, NOTHING))
        for at in (l, width + l):
            store(space.beta, at, select(absent, zero, scaled(load(space.beta, at), up)))
        store(space.beta_exponents, l, select(absent, like(widen(own), 0), widen(own)))
    set_scales(space, here, first, last)
    if not keeps_spread(row.frames, row.labels):
        spread_labels(row, space, begin, frames, first, last)
    for u in range(0, row.slots * FRAMES, LANES):
        store(space.by_number, u, zero)
    sums = (begin - start + 1) * 2 * width
    for i in range(frames - 1, -1, -1):
        emitted = spread_at(row, begin) + i * width
        blank = _frame_back(row, space, begin + i, emitted, sums + i * 2 * width, first, last)
        put(space.by_number, row.blank * FRAMES + i, blank)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        for i in range(0, frames, LANES):
            by_label = columns(space.sums, _places(sums + l, 2 * width, i, frames))
            for j in range(LANES):
                to = pick(row.slot, l + j) * FRAMES + i
                store(space.by_number, to, load(space.by_number, to) + by_label[j])
    for i in range(0, frames, LANES):
        total = zero
        for u in range(0, row.slots, LANES):
            places = _places(i, FRAMES, u, u + LANES)
            total = total + _added(space.by_number, places)
            by_frame = columns(space.by_number, places)
            for j in range(LANES):
                store(space.posteriors, (i + j) * row.slots + u, by_frame[j])
        store(space.totals, i, total)
    return edges(row, space, block * 2 * width, first, last)


@inlined
def _places(start, step, first, end):
    """Where eight rows begin, from number `first` on of those from `start` on, `step` apart; past the end, the last."""
    a, b, c, d = first, min(first + 1, end - 1), min(first + 2, end - 1), min(first + 3, end - 1)
    e, f, g, h = min(first + 4, end - 1), min(first + 5, end - 1), min(first + 6, end - 1), min(first + 7, end - 1)
    return (
        start + a * step, start + b * step, start + c * step, start + d * step,
        start + e * step, start + f * step, start + g * step, start + h * step,
    )  # fmt: skip


@inlined
def _added(array, places):
    a, b, c, d, e, f, g, h = places
    left = (load(array, a) + load(array, b)) + (load(array, c) + load(array, d))
    return left + ((load(array, e) + load(array, f)) + (load(array, g) + load(array, h)))


@inlined
def _frame_back(row, space, t, emitted, at, first, last):
    """Turn the sums of frame t's labels into their posteriors, and take β one frame back; the blanks' posterior."""
    width = chunks(row.labels) * LANES
    zero = zeros(row)
    blank = like(zero, pick(row.emissions, frame_number(row, t) * row.slots + row.blank))
    after, blanks = zero, zero
    for l in range(last * LANES, first * LANES - LANES, -LANES):
        y, b = load(space.beta, l), load(space.beta, width + l)
        store(space.sums, at + l, load(space.sums, at + l) * y)
        blanks = multiply_add(load(space.sums, at + width + l), b, blanks)
        y = y * load(space.spread, emitted + l)
        b = b * blank
        u = multiply_add(load(row.skip, l), y, b) * load(space.scales, l)
        store(space.beta, l, y + one_after(u, after))
        store(space.beta, width + l, b + y)
        after = u
    return fold_sum(blanks)


@inlined
def edges(row, space, opened, first, last):
    """The chunks that still matter at a block's start; those at the edges that do not are cleared."""
    width = chunks(row.labels) * LANES
    zero = zeros(row)
    while first < last and _share(space, opened, width, first) < NEGLIGIBLE:
        store(space.beta, first * LANES, zero)
        store(space.beta, width + first * LANES, zero)
        first += 1
    while first < last and _share(space, opened, width, last) < NEGLIGIBLE:
        last -= 1
    return first, last


@inlined
def _share(space, opened, width, c):
    l = c * LANES
    labels = load(space.opened, opened + l) * load(space.beta, l)
    return fold_sum(labels + load(space.opened, opened + width + l) * load(space.beta, width + l))
