"""The sums over paths of one row in plain float64, by block exponents: the fast path.

States and steps are those of `recursion.py`. There each state carries an exponent of its own and is normalised in
every frame. Here a label and the blank before it share an exponent, which stands for a *block* of K frames; within a
block a frame is multiplications and additions alone. With y_l and b_l worth 2^E_l,

    v_l  = G_l y_{l-1},  G_l = 2^(E_{l-1} - E_l)
    b_l' = (b_l + v_l) p(blank)
    y_l' = (y_l + b_l + skip_l v_l) p(l)          skip_l = 1 where l differs from its predecessor, else 0

**Nothing is lost.** In K frames a state is fed by labels at most K before it, its *window* (rounded up to a power of
two). Let hi_l be the largest exponent of a state in the window of l that is not 0 at the block's start, lo_l the
smallest, and D the block's *depth*: the sum over its frames of a number r_t such that no emission in use that is not 0
is below 2^-r_t. `open_block` chooses K <= 15 so that D <= DEEPEST, and E_l = hi_l - RAISED, so that

* no sum overflows: a state is a sum of at most 3^K <= 2^24 terms, each below 2^(hi + 1), so it stays below
  2^(RAISED + 25) = 2^525;
* no term underflows: each is at least 2^(lo - E - D), which hi - lo + D <= WIDEST keeps above
  2^(RAISED - WIDEST) = 2^-980;
* G is a power of two that float64 has: it is asked that |E_{l-1} - E_l| <= FURTHEST.

If a bound does not hold, K is halved; if it does not hold for one frame, the row is computed in extended-exponent
numbers, which have no limits. A label whose whole window is 0 stays 0 throughout the block; it takes no part (its G is
0).

**The way back** carries β in the posterior's own scale, 2^E / (the sum of all paths), so that the posterior of a state
is its forward sum times its β. Forward sums are below 2^525: what underflows in β is a posterior under 2^-497. Where a
forward sum is not 0, it is above 2^-980, and β, since their product is a probability, below 2^980. β of a state that
cannot be reached has no such bound and may become inf, and inf times 0 is NaN; but then a frame's posteriors do not
add up to 1. They must in every frame, within `gradient.TOLERANCE`: a certificate that costs nothing, since the gradient
is normalised by that sum. Without it the row's gradient is computed again in extended-exponent numbers.

At a block's start, chunks of labels at either edge whose posterior is below NEGLIGIBLE together are left out from
there on down: what goes through them is less than that of the whole, and the contract's smallest posterior is 2^-126.

**Memory.** The sums of all frames are kept for the way back where they fit into `layout.KEPT_BYTES`. A longer row is
cut into *segments* that do; only the states at their starts are kept, and a segment is summed again when the way back
reaches it: those labels alone that can still matter there. Exponents may then be others than the first time; values
are the same to the bit, because all scales are powers of two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seqloss.kernels.ctc.layout import BLOCK, LANES, chunk_count
from seqloss.kernels.numba.bits import exp2_of_int32, raw_exponent
from seqloss.kernels.numba.compilation import inlined
from seqloss.kernels.numba.vectors import (
    any_lane,
    equal,
    four_before,
    full_like,
    less,
    load,
    load_one,
    logical_or,
    maximum,
    minimum,
    one_before,
    select,
    store,
    to_int32,
    to_int64,
    two_before,
)

BIAS = 1023
"""Of float64's exponents."""

DEEPEST = 480.0
RAISED = 500
WIDEST = 1480
FURTHEST = 1000
NEGLIGIBLE = 2.0**-200
ZERO_EXPONENT = -(2**30)
"""The exponent of a label whose window is 0."""

LONGEST = 2**20
"""Frames of a row: each takes an exponent down by DEEPEST at most, and NOTHING must stay far below all of them."""

ABSENT = -1023
"""The power of two that stands for 0."""

DONE, TOO_DEEP, TOO_STEEP = 0, 1, 2


class Row(NamedTuple):
    """What a row's sums are made of.

    Attributes:
        frames: that are summed; whole: those of the row that they begin; labels: of the row.
        blank: the blank's number; slots: numbers in a frame.
        slot: (labels, padded), each label's number; skip: likewise, 1 where a label may follow the one before it.
        emissions, depths: of the frames, see `emissions.Frames`.
        origin, sense: frame t is number origin + sense * t there.
    """

    frames: int
    whole: int
    labels: int
    blank: int
    slots: int
    slot: np.ndarray
    skip: np.ndarray
    emissions: np.ndarray
    depths: np.ndarray
    origin: int
    sense: int


class Space(NamedTuple):
    """Where a row's sums go; a pair is the states of a frame, labels before blanks.

    Attributes:
        sums: pairs of a segment's frames, the one before its first included.
        opened: pairs at the start of each of its blocks, by its exponents; blocks count from 1.
        exponents: (blocks, labels), those of the states that the segment starts with first.
        saved, saved_exponents: (segments), the states that each starts with.
        firsts: the first frame of each block, and one past the last.
        spread: (BLOCK, labels), the emissions of a block's labels, or of all frames'; scales: (labels,), a block's G.
        beta: a pair; beta_exponents: (labels,), those it is scaled by.
        by_number: (slots, FRAMES), the posteriors of a block's frames, lanes being frames.
        posteriors: (FRAMES, slots), likewise, lanes being numbers; totals: (FRAMES,), each
            frame's, added up.
    """

    sums: np.ndarray
    opened: np.ndarray
    exponents: np.ndarray
    saved: np.ndarray
    saved_exponents: np.ndarray
    firsts: np.ndarray
    spread: np.ndarray
    scales: np.ndarray
    beta: np.ndarray
    beta_exponents: np.ndarray
    by_number: np.ndarray
    posteriors: np.ndarray
    totals: np.ndarray


@inlined
def frame_number(row, t):
    """Where frame t of those that are summed stands among the row's."""
    return row.origin + row.sense * t


@inlined
def first_chunk(row, t):
    """The first chunk that matters after t frames: from a label before it no path ends in time."""
    return max(0, row.labels - 1 - (row.whole - t)) // LANES


@inlined
def last_chunk(row, t):
    """The last chunk that t frames reach."""
    return min(row.labels, t) // LANES


@inlined
def zero_vector(row):
    return full_like(load(row.skip, 0), 0.0)


@inlined
def scale_by_power(x, up):
    """x * 2^up, |up| <= 2000, in two steps, of which neither leaves float64's range first; 0 stays 0 whatever up is."""
    most, least = full_like(up, 1000), full_like(up, -1000)
    first = maximum(minimum(up, most), least)
    second = maximum(minimum(up - first, most), least)
    return x * exp2_of_int32(first) * exp2_of_int32(second)


@inlined
def _exponent_range(y, b, e):
    """The exponents of each label's larger and smaller state that is not 0."""
    nought, most = full_like(e, 0), full_like(e, -ZERO_EXPONENT)
    larger, y, b = maximum(raw_exponent(y), raw_exponent(b)), raw_exponent(y), raw_exponent(b)
    smaller = minimum(select(equal(y, nought), most, y), select(equal(b, nought), most, b))
    none, e = equal(larger, nought), e - full_like(e, BIAS)
    return select(none, full_like(e, ZERO_EXPONENT), larger + e), select(none, most, smaller + e)


@inlined
def _block_scale(previous, own):
    """G of a chunk's labels, and whether it is too far from 1, given the exponents of those before them and theirs."""
    none = full_like(own, ZERO_EXPONENT)
    up = select(logical_or(equal(own, none), equal(previous, none)), full_like(own, ABSENT), previous - own)
    there = select(equal(up, full_like(up, ABSENT)), full_like(up, 0), up)
    far = less(full_like(up, FURTHEST), maximum(there, full_like(up, 0) - there))
    return exp2_of_int32(maximum(minimum(up, full_like(up, FURTHEST)), full_like(up, ABSENT))), far


@inlined
def write_block_scales(space, here, first, last):
    """Write G of a block, whose exponents stand at `here`."""
    before = full_like(to_int32(load(space.exponents, here)), ZERO_EXPONENT)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = to_int32(load(space.exponents, here + l))
        scale, _ = _block_scale(one_before(before, own), own)
        store(space.scales, l, scale)
        before = own


@inlined
def try_block(row, space, at, before, here, opened, first, last, k, depth):
    """Write exponents, G and the start of a block of k frames; whether its windows are no wider than it may hold.

    A window of sixteen is made of two of eight, these of two of four, and so on: what each chunk's labels have there is
    carried to the next chunk.
    """
    width, limit = chunk_count(row.labels) * LANES, np.int64(math.floor(WIDEST - depth))
    none = full_like(to_int32(load(space.exponents, before)), ZERO_EXPONENT)
    high1, high2, high4, high8, own_before = none, none, none, none, none
    low1 = full_like(none, -ZERO_EXPONENT)
    low2, low4, low8 = low1, low1, low1
    wide = less(none, none)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        y, b = load(space.sums, at + l), load(space.sums, at + width + l)
        e = to_int32(load(space.exponents, before + l))
        high, low = _exponent_range(y, b, e)
        next1, next_low1 = high, low
        high, low = maximum(high, one_before(high1, high)), minimum(low, one_before(low1, low))
        high1, low1 = next1, next_low1
        if k >= 2:
            next2, next_low2 = high, low
            high, low = maximum(high, two_before(high2, high)), minimum(low, two_before(low2, low))
            high2, low2 = next2, next_low2
        if k >= 4:
            next4, next_low4 = high, low
            high, low = maximum(high, four_before(high4, high)), minimum(low, four_before(low4, low))
            high4, low4 = next4, next_low4
        if k >= 8:
            next8, next_low8 = high, low
            high, low = maximum(high, high8), minimum(low, low8)
            high8, low8 = next8, next_low8
        own = select(equal(high, none), none, high - full_like(high, RAISED))
        scale, far = _block_scale(one_before(own_before, own), own)
        wide = logical_or(wide, logical_or(far, less(full_like(high, limit), high - low)))
        own_before = own
        store(space.exponents, here + l, to_int64(own))
        store(space.scales, l, scale)
        store(space.opened, opened + l, scale_by_power(y, e - own))
        store(space.opened, opened + width + l, scale_by_power(b, e - own))
    return not any_lane(wide)


@inlined
def open_block(row, space, t, end, at, before, here, opened, bottom, top):
    """Begin a block after t frames: its number of frames, 0 if not even one is possible.

    Args:
        at, before: where the sums of frame t and their exponents stand.
        here, opened: where the block's exponents and its start are written.
        bottom, top: the chunks outside which nothing is computed.
    """
    width = chunk_count(row.labels) * LANES
    k, depth = 0, 0.0
    while k < BLOCK and t + k < end and depth + load_one(row.depths, frame_number(row, t + k)) <= DEEPEST:
        depth += load_one(row.depths, frame_number(row, t + k))
        k += 1
    first, last = max(bottom, first_chunk(row, t)), min(top, last_chunk(row, t + k))
    zero = zero_vector(row)
    for l in range((min(top, last_chunk(row, t)) + 1) * LANES, (last + 1) * LANES, LANES):
        store(space.sums, at + l, zero)
        store(space.sums, at + width + l, zero)
        store(space.exponents, before + l, full_like(load(space.exponents, before), 0))
    while k > 0 and not try_block(row, space, at, before, here, opened, first, last, k, depth):
        k //= 2
        depth = 0.0
        for i in range(k):
            depth += load_one(row.depths, frame_number(row, t + i))
    return k
