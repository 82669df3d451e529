"""The sums over paths of one row in plain float64, with block exponents: the fast path.

States and steps are those of `recursion.py`. There each state has an exponent of its own and is normalised in every
frame. Here a label and the blank before it share an exponent for a *block* of K frames. Within a block, a frame takes
only multiplications and additions. With y_l and b_l, the α of label l and of its blank, in units of 2^E_l:

    v_l  = G_l y_{l-1},  G_l = 2^(E_{l-1} - E_l)
    b_l' = (b_l + v_l) p(blank)
    y_l' = (y_l + b_l + skip_l v_l) p(l)          skip_l = 1 where l differs from its predecessor, else 0

**No term is lost.** In K frames, only labels at most K before a state contribute to it: its *window* (rounded up to a
power of two). Let hi_l be the largest exponent of a state in the window of l that is not 0 at the block's start, lo_l
the smallest, and D the block's *depth*: the sum over its frames of r_t, where no emission in use that is not 0
is below 2^-r_t. `open_block` chooses K <= 15 so that D <= DEEPEST, and E_l = hi_l - RAISED, so that

* no sum overflows: a state is a sum of at most 3^K <= 2^24 terms, each below 2^(hi + 1), so it stays below
  2^(RAISED + 25) = 2^525;
* no term underflows: each is at least 2^(lo - E - D), which hi - lo + D <= WIDEST keeps above
  2^(RAISED - WIDEST) = 2^-980;
* G is a power of two that float64 can represent, because |E_{l-1} - E_l| <= FURTHEST is required.

If a bound does not hold, K is halved. If it does not hold for one frame, the row is computed in extended-exponent
numbers, which have no limits. A label whose whole window is 0 stays 0 throughout the block. Its G is 0, so that nothing
passes through it.

**The backward pass** computes β in units of 2^-E times the sum over all paths. The posterior of a state is then one
product: its forward sum times its β. Forward sums are below 2^525, so a β that underflows belongs to a posterior below
2^-497. A forward sum that is not 0 is above 2^-980, so its β is below 2^980, because the product is a probability. The
β of a state that no path reaches has no such bound. It may become inf, and inf times 0 is NaN. But then the posteriors
of that frame do not add up to 1. They are checked in every frame, within `gradient.TOLERANCE`. The check costs nothing,
because the gradient is normalised by that sum anyway. If it fails, the row's gradient is computed again in
extended-exponent numbers.

At the start of a block, chunks of labels at either edge are dropped from the earlier frames if their posterior is
below NEGLIGIBLE in total. The posteriors of earlier frames lose at most that much, and the smallest posterior of the
contract is 2^-126.

**Memory.** The sums of all frames are kept for the backward pass if they fit into `layout.KEPT_BYTES`. A longer row is
cut into *segments* that fit. Only the states at the start of each segment are saved. The backward pass sums a segment
again when it reaches it, and only the labels that still matter there. The exponents may differ from the first time; the
values are bitwise the same, because all scales are powers of two.
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
"""The exponent bias of float64."""

DEEPEST = 480.0
"""The largest depth D of a block, in bits."""
RAISED = 500
"""How far a block's exponent lies below the largest exponent of its window: headroom for small terms."""
WIDEST = 1480
"""The largest hi - lo + D of a window."""
FURTHEST = 1000
"""The largest difference between the exponents of neighbouring labels, so that G is a normal float64."""
NEGLIGIBLE = 2.0**-200
"""Chunks whose posterior is below this are dropped."""
ZERO_EXPONENT = -(2**30)
"""The exponent of a label whose window is 0."""

LONGEST = 2**20
"""The most frames of a row: each lowers an exponent by DEEPEST at most, and ZERO_EXPONENT must stay below all."""

ABSENT = -1023
"""The power of two that `exp2_of_int32` turns into 0."""

DONE, TOO_DEEP, TOO_STEEP = 0, 1, 2


class Row(NamedTuple):
    """The input of a row's sums: a whole row, or one half of it, forward or mirrored.

    Attributes:
        frames: frames to sum; whole: frames of the whole row; labels: labels of the row.
        blank: the slot of the blank; slots: slots of a frame's emissions.
        slot: (labels, padded), the slot of each label; skip: (labels, padded), 1 where a label may follow the one
            before it without a blank between, else 0.
        emissions, depths: see `emissions.Frames`.
        origin, sense: frame t of the sums is frame origin + sense * t of the row.
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
    """The scratch of a row's sums; a pair holds the states of one frame, labels before blanks.

    Attributes:
        sums: (frames + 1) pairs, the α of a segment's frames, first the states that the segment starts with.
        opened: (blocks + 1) pairs, the states at the start of each block, in units of its exponents; from block 1 on.
        exponents: (blocks + 1, labels), E of each block; number 0 belongs to the states that the segment starts with.
        saved, saved_exponents: the states that each segment starts with.
        firsts: the first frame of each block, and the end of the last block.
        label_emissions: (BLOCK, labels) or (frames, labels), of each label; scales: (labels,), G of a block.
        beta: one pair; beta_exponents: (labels,), the exponents of its units.
        by_number: (slots, FRAMES), the posteriors of a block's frames; lanes are frames.
        posteriors: (FRAMES, slots), the same transposed; lanes are slots. totals: (FRAMES,), their sum per frame.
    """

    sums: np.ndarray
    opened: np.ndarray
    exponents: np.ndarray
    saved: np.ndarray
    saved_exponents: np.ndarray
    firsts: np.ndarray
    label_emissions: np.ndarray
    scales: np.ndarray
    beta: np.ndarray
    beta_exponents: np.ndarray
    by_number: np.ndarray
    posteriors: np.ndarray
    totals: np.ndarray


@inlined
def frame_number(row, t):
    """The number in the row of frame t of the sums."""
    return row.origin + row.sense * t


@inlined
def first_chunk(row, t):
    """The first chunk in use after t frames: from a label before it, no path ends in time."""
    return max(0, row.labels - 1 - (row.whole - t)) // LANES


@inlined
def last_chunk(row, t):
    """The last chunk that a path can reach in t frames."""
    return min(row.labels, t) // LANES


@inlined
def zero_vector(row):
    """A vector of zeros for path sums."""
    return full_like(load(row.skip, 0), 0.0)


@inlined
def scale_by_power(x, up):
    """x * 2^up for |up| <= 2000; 0 stays 0 for any up.

    Two factors, because 2^up itself may exceed the range of float64 where the product does not.
    """
    most, least = full_like(up, 1000), full_like(up, -1000)
    first = maximum(minimum(up, most), least)
    second = maximum(minimum(up - first, most), least)
    return x * exp2_of_int32(first) * exp2_of_int32(second)


@inlined
def _exponent_range(y, b, e):
    """Per label, the exponents of the larger and of the smaller of its two states that are not 0."""
    nought, most = full_like(e, 0), full_like(e, -ZERO_EXPONENT)
    larger, y, b = maximum(raw_exponent(y), raw_exponent(b)), raw_exponent(y), raw_exponent(b)
    smaller = minimum(select(equal(y, nought), most, y), select(equal(b, nought), most, b))
    none, e = equal(larger, nought), e - full_like(e, BIAS)
    return select(none, full_like(e, ZERO_EXPONENT), larger + e), select(none, most, smaller + e)


@inlined
def _block_scale(previous, own):
    """G of a chunk's labels, and the mask of those that differ too much from the label before.

    Args:
        previous: E of the label before each; own: E of the labels.
    """
    none = full_like(own, ZERO_EXPONENT)
    up = select(logical_or(equal(own, none), equal(previous, none)), full_like(own, ABSENT), previous - own)
    there = select(equal(up, full_like(up, ABSENT)), full_like(up, 0), up)
    far = less(full_like(up, FURTHEST), maximum(there, full_like(up, 0) - there))
    return exp2_of_int32(maximum(minimum(up, full_like(up, FURTHEST)), full_like(up, ABSENT))), far


@inlined
def write_block_scales(space, here, first, last):
    """Write G of a block whose exponents are at `here`."""
    before = full_like(to_int32(load(space.exponents, here)), ZERO_EXPONENT)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = to_int32(load(space.exponents, here + l))
        scale, _ = _block_scale(one_before(before, own), own)
        store(space.scales, l, scale)
        before = own


@inlined
def try_block(row, space, at, before, here, opened, first, last, k, depth):
    """Write exponents, G and the states at the start of a block of k frames; whether all bounds hold.

    A window of sixteen labels is the union of two of eight, each the union of two of four, and so on. So four shifts by
    1, 2, 4 and 8 labels find the largest and the smallest exponent of each window. What a shift takes from the chunk
    before is carried from one iteration to the next.
    """
    width, limit = chunk_count(row.labels) * LANES, np.int64(math.floor(WIDEST - depth))
    none = full_like(to_int32(load(space.exponents, before)), ZERO_EXPONENT)
    high1, high2, high4, high8, own_before = none, none, none, none, none
    low1 = full_like(none, -ZERO_EXPONENT)
    low2, low4, low8 = low1, low1, low1
    wide = less(none, none)  # nowhere true
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        y, b = load(space.sums, at + l), load(space.sums, at + width + l)
        e = to_int32(load(space.exponents, before + l))
        # 1. the exponents of the label's own two states, in absolute terms
        high, low = _exponent_range(y, b, e)
        # 2. double the window until it covers k labels before: 1, 2, 4, 8
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
        # 3. E = hi - RAISED, and the bounds: neighbours within FURTHEST, windows within WIDEST - D
        own = select(equal(high, none), none, high - full_like(high, RAISED))
        scale, far = _block_scale(one_before(own_before, own), own)
        wide = logical_or(wide, logical_or(far, less(full_like(high, limit), high - low)))
        own_before = own
        # 4. the states at the block's start, in units of 2^E
        store(space.exponents, here + l, to_int64(own))
        store(space.scales, l, scale)
        store(space.opened, opened + l, scale_by_power(y, e - own))
        store(space.opened, opened + width + l, scale_by_power(b, e - own))
    return not any_lane(wide)


@inlined
def open_block(row, space, t, end, at, before, here, opened, bottom, top):
    """Begin a block after t frames; returns its number of frames K, 0 if a bound fails even for one frame.

    Args:
        at, before: the places of the sums of frame t and of their exponents.
        here, opened: the places for the block's exponents and for the states at its start.
        bottom, top: the first and the last chunk to compute.
    """
    width = chunk_count(row.labels) * LANES
    # 1. as many frames as the depth D allows
    k, depth = 0, 0.0
    while k < BLOCK and t + k < end and depth + load_one(row.depths, frame_number(row, t + k)) <= DEEPEST:
        depth += load_one(row.depths, frame_number(row, t + k))
        k += 1
    first, last = max(bottom, first_chunk(row, t)), min(top, last_chunk(row, t + k))
    # 2. chunks that these frames reach for the first time contain old values: clear them
    zero = zero_vector(row)
    for l in range((min(top, last_chunk(row, t)) + 1) * LANES, (last + 1) * LANES, LANES):
        store(space.sums, at + l, zero)
        store(space.sums, at + width + l, zero)
        store(space.exponents, before + l, full_like(load(space.exponents, before), 0))
    # 3. halve K until the bounds on windows and neighbours hold
    while k > 0 and not try_block(row, space, at, before, here, opened, first, last, k, depth):
        k //= 2
        depth = 0.0
        for i in range(k):
            depth += load_one(row.depths, frame_number(row, t + i))
    return k
