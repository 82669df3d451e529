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

If a bound does not hold, K is halved; if it does not hold for one frame, the row is computed in wide numbers, which
have no limits. A label whose whole window is 0 stays 0 throughout the block; it takes no part (its G is 0).

**The way back** carries β in the posterior's own scale, 2^E / (the sum of all paths), so that the posterior of a state
is its forward sum times its β. Forward sums are below 2^525: what underflows in β is a posterior under 2^-497. Where a
forward sum is not 0, it is above 2^-980, and β, since their product is a probability, below 2^980. β of a state that
cannot be reached has no such bound and may become inf, and inf times 0 is NaN; but then a frame's posteriors do not
add up to 1. They must in every frame, within `gradient.TOLERANCE`: a certificate that costs nothing, since the gradient
is normalised by that sum. Without it the row's gradient is computed again in wide numbers.

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

from seqloss.kernels.compiled import inlined
from seqloss.kernels.layout import BLOCK, LANES, PAD, chunks
from seqloss.kernels.vectors import (
    any_lane,
    binary_exponent,
    either,
    equal,
    less,
    like,
    load,
    maximum,
    minimum,
    one_before,
    pick,
    power_of_two,
    select,
    store,
)

DEEPEST = 480.0
RAISED = 500
WIDEST = 1480
FURTHEST = 1000
NEGLIGIBLE = 2.0**-200
NOTHING = -(2**60)
"""The exponent of a label whose window is 0."""

ABSENT = -5000
"""Of a power of two that stands for 0."""

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
        posteriors: (BLOCK, slots), those of a block's frames; totals: (BLOCK,), each frame's, added up.
        highest, lowest: (PAD + labels,), of windows.
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
    posteriors: np.ndarray
    totals: np.ndarray
    highest: np.ndarray
    lowest: np.ndarray


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
def zeros(row):
    return like(load(row.skip, 0), 0.0)


@inlined
def scaled(x, up):
    """x * 2^up, |up| <= 2000, in two steps, of which neither leaves float64's range first; 0 stays 0 whatever up is."""
    most, least = like(up, 1000), like(up, -1000)
    first = maximum(minimum(up, most), least)
    second = maximum(minimum(up - first, most), least)
    return x * power_of_two(x, first) * power_of_two(x, second)


@inlined
def _exponents_there(row, space, at, before, first, last):
    """The exponents of each label's largest and smallest state that is not 0."""
    width = chunks(row.labels) * LANES
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        y, b = load(space.sums, at + l), load(space.sums, at + width + l)
        nought, infinite = like(y, 0.0), like(y, np.inf)
        e = load(space.exponents, before + l)
        high = binary_exponent(maximum(y, b), e, like(e, NOTHING))
        low = minimum(select(less(nought, y), y, infinite), select(less(nought, b), b, infinite))
        none = equal(high, like(e, NOTHING))
        store(space.highest, PAD + l, high)
        store(space.lowest, PAD + l, select(none, like(e, -NOTHING), binary_exponent(low, e, e)))
    none = like(load(space.highest, PAD + first * LANES), NOTHING)
    for l in (PAD + first * LANES - LANES, PAD + first * LANES - 2 * LANES):
        store(space.highest, l, none)
        store(space.lowest, l, like(none, -NOTHING))


@inlined
def _widen(space, first, last, k):
    """Make them those of each label's window, of k labels before it or more."""
    reach = 1
    while reach <= k:
        for l in range(PAD + last * LANES, PAD + first * LANES - LANES, -LANES):
            store(space.highest, l, maximum(load(space.highest, l), load(space.highest, l - reach)))
            store(space.lowest, l, minimum(load(space.lowest, l), load(space.lowest, l - reach)))
        reach *= 2


@inlined
def _choose(space, here, first, last, depth):
    """Write each label's exponent; whether its window is no wider than a block of that depth may hold."""
    limit = np.int64(math.floor(WIDEST - depth))
    wide = less(load(space.highest, PAD), load(space.highest, PAD))
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        high = load(space.highest, PAD + l)
        wide = either(wide, less(like(high, limit), high - load(space.lowest, PAD + l)))
        none = like(high, NOTHING)
        store(space.exponents, here + l, select(equal(high, none), none, high - like(high, RAISED)))
    return not any_lane(wide)


@inlined
def set_scales(row, space, here, first, last):
    """Write G of a block; whether it has them all."""
    zero = zeros(row)
    none = like(load(space.exponents, here), NOTHING)
    absent, nought = like(none, ABSENT), like(none, 0)
    before = none
    far = less(none, none)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = load(space.exponents, here + l)
        previous = one_before(before, own)
        up = select(equal(own, none), absent, select(equal(previous, none), absent, previous - own))
        there = select(equal(up, absent), nought, up)
        far = either(far, less(like(own, FURTHEST), maximum(there, nought - there)))
        store(space.scales, l, power_of_two(zero, maximum(minimum(up, like(own, FURTHEST)), absent)))
        before = own
    return not any_lane(far)


@inlined
def open_block(row, space, t, end, at, before, here, opened, bottom, top):
    """Begin a block after t frames: its number of frames, 0 if not even one is possible.

    Args:
        at, before: where the sums of frame t and their exponents stand.
        here, opened: where the block's exponents and its start are written.
        bottom, top: the chunks outside which nothing is computed.
    """
    width = chunks(row.labels) * LANES
    k, depth = 0, 0.0
    while k < BLOCK and t + k < end and depth + pick(row.depths, frame_number(row, t + k)) <= DEEPEST:
        depth += pick(row.depths, frame_number(row, t + k))
        k += 1
    first, last = max(bottom, first_chunk(row, t)), min(top, last_chunk(row, t + k))
    zero = zeros(row)
    for l in range((min(top, last_chunk(row, t)) + 1) * LANES, (last + 1) * LANES, LANES):
        store(space.sums, at + l, zero)
        store(space.sums, at + width + l, zero)
        store(space.exponents, before + l, like(load(space.exponents, before), 0))
    while k > 0:
        _exponents_there(row, space, at, before, first, last)
        _widen(space, first, last, k)
        if _choose(space, here, first, last, depth) and set_scales(row, space, here, first, last):
            break
        k //= 2
        depth = 0.0
        for i in range(k):
            depth += pick(row.depths, frame_number(row, t + i))
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        up = load(space.exponents, before + l) - load(space.exponents, here + l)
        store(space.opened, opened + l, scaled(load(space.sums, at + l), up))
        store(space.opened, opened + width + l, scaled(load(space.sums, at + width + l), up))
    return k
