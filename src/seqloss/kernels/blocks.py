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
is below 2^-r_t. `_open` chooses K <= 15 so that D <= DEEPEST, and E_l = hi_l - RAISED, so that

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
add up to 1. They must, within TOLERANCE, in every frame: a certificate that costs nothing, since the gradient is
normalised by that sum. Without it the row's gradient is computed again in wide numbers.

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

from seqloss.kernels.compiled import inlined, part
from seqloss.kernels.layout import BLOCK, LANES, PAD, chunks, keeps_spread
from seqloss.kernels.vectors import (
    any_lane,
    binary_exponent,
    either,
    equal,
    fold_sum,
    less,
    like,
    load,
    maximum,
    minimum,
    multiply_add,
    one_after,
    one_before,
    pick,
    power_of_two,
    put,
    select,
    store,
)

DEEPEST = 480.0
RAISED = 500
WIDEST = 1480
FURTHEST = 1000
TOLERANCE = 1e-9
NEGLIGIBLE = 2.0**-200
NOTHING = -(2**60)
"""The exponent of a label whose window is 0."""

ABSENT = -5000
"""Of a power of two that stands for 0."""

DONE, TOO_DEEP, TOO_STEEP = 0, 1, 2


class Row(NamedTuple):
    """What a row's sums are made of.

    Attributes:
        frames, labels: of the row; blank: the blank's number; slots: numbers in a frame.
        slot: (labels, padded), each label's number; skip: likewise, 1 where a label may follow the one before it.
        emissions: (frames, slots); depths: (frames,), in bits.
    """

    frames: int
    labels: int
    blank: int
    slots: int
    slot: np.ndarray
    skip: np.ndarray
    emissions: np.ndarray
    depths: np.ndarray


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
        posteriors: (BLOCK, slots), those of a block's frames.
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
    highest: np.ndarray
    lowest: np.ndarray


@inlined
def _first_chunk(row, t):
    """The first chunk that matters after t frames: from a label before it no path ends in time."""
    return max(0, row.labels - 1 - (row.frames - t)) // LANES


@inlined
def _last_chunk(row, t):
    """The last chunk that t frames reach."""
    return min(row.labels, t) // LANES


@inlined
def _zero(row):
    return like(load(row.skip, 0), 0.0)


@inlined
def _scaled(x, up):
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
def _set_scales(row, space, here, first, last):
    """Write G of a block; whether it has them all."""
    zero = _zero(row)
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
def _open(row, space, t, end, at, before, here, opened, bottom, top):
    """Begin a block after t frames: its number of frames, 0 if not even one is possible.

    Args:
        at, before: where the sums of frame t and their exponents stand.
        here, opened: where the block's exponents and its start are written.
        bottom, top: the chunks outside which nothing is computed.
    """
    width = chunks(row.labels) * LANES
    k, depth = 0, 0.0
    while k < BLOCK and t + k < end and depth + pick(row.depths, t + k) <= DEEPEST:
        depth += pick(row.depths, t + k)
        k += 1
    first, last = max(bottom, _first_chunk(row, t)), min(top, _last_chunk(row, t + k))
    zero = _zero(row)
    for l in range((min(top, _last_chunk(row, t)) + 1) * LANES, (last + 1) * LANES, LANES):
        store(space.sums, at + l, zero)
        store(space.sums, at + width + l, zero)
        store(space.exponents, before + l, like(load(space.exponents, before), 0))
    while k > 0:
        _exponents_there(row, space, at, before, first, last)
        _widen(space, first, last, k)
        if _choose(space, here, first, last, depth) and _set_scales(row, space, here, first, last):
            break
        k //= 2
        depth = 0.0
        for i in range(k):
            depth += pick(row.depths, t + i)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        up = load(space.exponents, before + l) - load(space.exponents, here + l)
        store(space.opened, opened + l, _scaled(load(space.sums, at + l), up))
        store(space.opened, opened + width + l, _scaled(load(space.sums, at + width + l), up))
    return k


@inlined
def _spread_at(row, t):
    """Where the emissions of a block's labels stand, if it begins with frame t."""
    return t * chunks(row.labels) * LANES if keeps_spread(row.frames, row.labels) else 0


@part
def _spread(row, space, t, k, first, last):
    """Write the emissions of the labels of chunks first..last in k frames from t on."""
    width, begin = chunks(row.labels) * LANES, _spread_at(row, t)
    for i in range(k):
        at, to = (t + i) * row.slots, begin + i * width
        for l in range(first * LANES, (last + 1) * LANES):
            put(space.spread, to + l, pick(row.emissions, at + pick(row.slot, l)))


@inlined
def _frame(row, space, from_, at, to, spread, t, first, last):
    """The sums after frame t, whose labels' emissions stand at `spread`, from those before it."""
    width = chunks(row.labels) * LANES
    before = _zero(row)
    blank = like(before, pick(row.emissions, t * row.slots + row.blank))
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        y, b = load(from_, at + l), load(from_, at + width + l)
        v = one_before(before, y) * load(space.scales, l)
        fed = multiply_add(load(row.skip, l), v, y + b)
        store(space.sums, to + l, fed * load(space.spread, spread + l))
        store(space.sums, to + width + l, (b + v) * blank)
        before = y


@part
def _block(row, space, t, k, opened, at, step, first, last):
    """The sums of a block's k frames, from its start: the first at `at`, each next one `step` after it."""
    width, spread = chunks(row.labels) * LANES, _spread_at(row, t)
    _frame(row, space, space.opened, opened, at, spread, t, first, last)
    for i in range(1, k):
        _frame(row, space, space.sums, at + (i - 1) * step, at + i * step, spread + i * width, t + i, first, last)


@part
def begin(row, space):
    """Before the first frame all mass is on the first blank."""
    width = chunks(row.labels) * LANES
    zero = _zero(row)
    store(space.sums, 0, zero)
    store(space.sums, width, zero)
    put(space.sums, width, 1.0)
    store(space.exponents, 0, like(load(space.exponents, 0), 0))


@part
def forward(row, space, start, end, keep, bottom, top):
    """Sum forward from frame `start`, whose states stand first in `sums`, to frame `end`.

    With `keep` the sums of all frames stay, and the starts of all blocks; else the sums of the last frame stand first.

    Returns:
        the number of blocks, and whether all are done or one is too deep or too steep.
    """
    width = chunks(row.labels) * LANES
    step = 2 * width if keep else 0
    t, block, turn = start, 0, 0
    while t < end:
        if pick(row.depths, t) > DEEPEST:
            return block, TOO_DEEP
        before = turn * width
        block += 1
        turn = block if keep else 1 - turn
        at = (t - start) * step
        k = _open(row, space, t, end, at, before, turn * width, turn * 2 * width, bottom, top)
        if k == 0:
            return block, TOO_STEEP
        first, last = max(bottom, _first_chunk(row, t)), min(top, _last_chunk(row, t + k))
        put(space.firsts, turn, t)
        put(space.firsts, turn + 1, t + k)
        _spread(row, space, t, k, first, last)
        _block(row, space, t, k, turn * 2 * width, at + step, step, first, last)
        t += k
    if turn and not keep:  # the states of the last frame and their exponents become the first of what follows
        for l in range(0, width, LANES):
            store(space.exponents, l, load(space.exponents, turn * width + l))
    return block, DONE


@part
def save(row, space, number):
    """Keep the states that segment `number` starts with."""
    width = chunks(row.labels) * LANES
    for l in range(0, width, LANES):
        store(space.saved, number * 2 * width + l, load(space.sums, l))
        store(space.saved, number * 2 * width + width + l, load(space.sums, width + l))
        store(space.saved_exponents, number * width + l, load(space.exponents, l))


@part
def restore(row, space, number):
    """Go back to the states that segment `number` starts with."""
    width = chunks(row.labels) * LANES
    for l in range(0, width, LANES):
        store(space.sums, l, load(space.saved, number * 2 * width + l))
        store(space.sums, width + l, load(space.saved, number * 2 * width + width + l))
        store(space.exponents, l, load(space.saved_exponents, number * width + l))


@part
def total(row, space, at, here):
    """The sum over all paths, last label or last blank: a mantissa (0 if none) and an exponent.

    Args:
        at, here: where the sums of the last frame and their exponents stand.
    """
    width = chunks(row.labels) * LANES
    m, e = math.frexp(space.sums[at + width + row.labels])
    e += space.exponents[here + row.labels]
    if row.labels > 0:
        m2, e2 = math.frexp(space.sums[at + row.labels - 1])
        e2 += space.exponents[here + row.labels - 1]
        if m == 0.0:
            m, e = m2, e2
        elif m2 > 0.0:
            top = max(e, e2)
            m = math.ldexp(m, np.int32(max(e - top, -2000))) + math.ldexp(m2, np.int32(max(e2 - top, -2000)))
            e = top
    return m, e


@part
def start_back(row, space, here, total_m, total_e):
    """β after the last frame: the path has ended in the last label or the last blank."""
    width = chunks(row.labels) * LANES
    zero = _zero(row)
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
    """Write the posteriors of a block's frames by number, (frames, slots), not yet normalised, and take β through it.

    Args:
        start, bottom: the segment's first frame and first chunk.
        low, high: the chunks outside which β is 0 or left out.

    Returns:
        those at the block's start.
    """
    width = chunks(row.labels) * LANES
    begin, here = pick(space.firsts, block), block * width
    frames = pick(space.firsts, block + 1) - begin
    first = max(bottom, _first_chunk(row, begin), low - 2)
    last = min(_last_chunk(row, begin + frames), high)
    zero = _zero(row)
    for l in range(first * LANES, (last + 1) * LANES, LANES):
        own = load(space.exponents, here + l)
        up = own - load(space.beta_exponents, l)
        absent = equal(own, like(own, NOTHING))
        for at in (l, width + l):
            store(space.beta, at, select(absent, zero, _scaled(load(space.beta, at), up)))
        store(space.beta_exponents, l, select(absent, like(own, 0), own))
    _set_scales(row, space, here, first, last)
    if not keeps_spread(row.frames, row.labels):
        _spread(row, space, begin, frames, first, last)
    for to in range(0, frames * row.slots, LANES):
        store(space.posteriors, to, zero)
    sums = (begin - start + 1) * 2 * width
    for i in range(frames - 1, -1, -1):
        spread = _spread_at(row, begin) + i * width
        blank = _frame_back(row, space, begin + i, spread, sums + i * 2 * width, first, last)
        put(space.posteriors, i * row.slots + row.blank, blank)
    end = min(row.labels, (last + 1) * LANES)
    for i in range(frames):
        to, from_ = i * row.slots, sums + i * 2 * width
        for l in range(first * LANES, end):
            u = to + pick(row.slot, l)
            put(space.posteriors, u, pick(space.posteriors, u) + pick(space.sums, from_ + l))
    return _edges(row, space, block * 2 * width, first, last)


@inlined
def _frame_back(row, space, t, spread, at, first, last):
    """Turn the sums of frame t's labels into their posteriors, and take β one frame back; the blanks' posterior."""
    width = chunks(row.labels) * LANES
    zero = _zero(row)
    blank = like(zero, pick(row.emissions, t * row.slots + row.blank))
    after, blanks = zero, zero
    for l in range(last * LANES, first * LANES - LANES, -LANES):
        y, b = load(space.beta, l), load(space.beta, width + l)
        store(space.sums, at + l, load(space.sums, at + l) * y)
        blanks = multiply_add(load(space.sums, at + width + l), b, blanks)
        y = y * load(space.spread, spread + l)
        b = b * blank
        u = multiply_add(load(row.skip, l), y, b) * load(space.scales, l)
        store(space.beta, l, y + one_after(u, after))
        store(space.beta, width + l, b + y)
        after = u
    return fold_sum(blanks)


@inlined
def _edges(row, space, opened, first, last):
    """The chunks that still matter at a block's start; those at the edges that do not are cleared."""
    width = chunks(row.labels) * LANES
    zero = _zero(row)
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
