"""The sums over paths of one row, forward and backward, and the gradient that falls out on the way back.

A target l_1..l_L is read through 2L + 1 states: a blank before each label, the labels, a blank at the end. Label states
`a` and blank states `b` are kept apart, so that one shift by a label is the only operand that crosses lanes:

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

A virtual frame before the first holds all mass on b[0]; one after the last holds it on b[L]; so all frames are alike.
Sums are extended-exponent numbers (`extended_exponent.py`): float64 mantissas in one array, exponents in another. No
row is too deep, too steep or too long for them; they are what `blocks.py` falls back on. Graves' alpha is (a, b); his
beta, here without the frame's own emission, runs backward over y = beta * p of the frame after. The posterior of a
state is alpha
* beta over the sum of all of them in that frame, so that drift over thousands of frames cancels, and the gradient of
the loss is softmax - posterior (`gradient.py`).

A frame visits only the chunks of labels that can be reached by then and can still end; the chunks beside them are
cleared, so that the next frame finds nothing there.
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.ctc.emissions import write_label_emissions_extended
from seqloss.kernels.ctc.gradient import write_gradient
from seqloss.kernels.numba.bits import power_of_two
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.extended_exponent import ZERO_EXPONENT, add_extended, normalize_extended
from seqloss.kernels.numba.vectors import any_lane, full_like, lane_count, less, load, reduce_sum, select, store


@inlined
def _clear_chunk(m, e, position, zero):
    blank_m = load(m, position)
    blank_e = load(e, position)
    store(m, position, full_like(blank_m, 0.0))
    store(e, position, full_like(blank_e, zero))


@inlined
def _chunks_in_reach(t, frames, labels, width):
    """First and last chunk of labels that frame t (from 1) can reach and can still end from."""
    low = labels - 1 - (frames - t)
    high = min(labels, t - 1)
    return max(low, 0) // width, high // width


@subroutine
def sum_forward_extended(frames, labels, blank, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, row_size, keep):
    """Fill the forward sums, (frames + 1, row_size) if `keep`, else in two rows by turns."""
    width = lane_count(am)
    zero = ZERO_EXPONENT
    for at in (0, width, 2 * width):
        _clear_chunk(am, ae, at, zero)
        _clear_chunk(bm, be, at, zero)
    bm[width] = 1.0
    be[width] = 0
    for t in range(1, frames + 1):
        first, last = _chunks_in_reach(t, frames, labels, width)
        write_label_emissions_extended(em, ee, (t - 1) * slots, slot, first * width, (last + 1) * width, pm, pe)
        before = (t - 1 if keep else (t - 1) & 1) * row_size + width
        here = (t if keep else t & 1) * row_size + width
        one = load(pm, 0)
        blank_m = full_like(one, em[(t - 1) * slots + blank])
        blank_e = full_like(load(pe, 0), ee[(t - 1) * slots + blank])
        none = full_like(blank_e, zero)
        for at in ((first - 1) * width, (last + 1) * width):
            _clear_chunk(am, ae, here + at, zero)
            _clear_chunk(bm, be, here + at, zero)
        for c in range(first, last + 1):
            l = c * width
            previous_m = load(am, before + l - 1)
            previous_e = load(ae, before + l - 1)
            b_m = load(bm, before + l)
            b_e = load(be, before + l)
            m, e = add_extended(b_m, b_e, previous_m, previous_e)
            m, e = normalize_extended(m * blank_m, e + blank_e, none)
            store(bm, here + l, m)
            store(be, here + l, e)
            open_ = less(none, load(skip, l))
            m, e = add_extended(
                b_m,
                b_e,
                select(open_, previous_m, full_like(b_m, 0.0)),
                select(open_, previous_e, none),
            )
            m, e = add_extended(m, e, load(am, before + l), load(ae, before + l))
            m, e = normalize_extended(m * load(pm, l), e + load(pe, l), none)
            store(am, here + l, m)
            store(ae, here + l, e)


@inlined
def sum_all_paths_extended(frames, labels, am, ae, bm, be, row_size, keep):
    """The sum over all paths, last label or last blank in the last frame: a mantissa (0 if none) and an exponent."""
    width = lane_count(am)
    at = (frames if keep else frames & 1) * row_size + width + labels
    m, e = np.float64(bm[at]), np.int64(be[at])
    if labels > 0 and am[at - 1] > 0.0:
        m2, e2 = np.float64(am[at - 1]), np.int64(ae[at - 1])
        if m == 0.0:
            m, e = m2, e2
        else:
            top = max(e, e2)
            m = math.ldexp(m, np.int32(max(e - top, -2000))) + math.ldexp(m2, np.int32(max(e2 - top, -2000)))
            e = top
    return m, e


LN2 = math.log(2.0)


@inlined
def log_of_extended(m, e):
    """ln(m * 2^e), right to its last digits near 1."""
    if -2 <= e <= 1:
        return math.log1p(math.ldexp(m, np.int32(e)) - 1.0)
    return math.log(m) + e * LN2


@subroutine
def backward_extended(
    measured, frames, labels, blank, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, row_size,
    ym, ye, zm, ze, q, top_e, posterior, totals, softmax, weight,
):  # fmt: skip
    """Run beta backward and write the gradient of the `measured` frames, one by one."""
    width = lane_count(am)
    zero = ZERO_EXPONENT
    for at in range(0, 2 * row_size + width, width):
        _clear_chunk(ym, ye, at, zero)
        _clear_chunk(zm, ze, at, zero)
    after = ((frames + 1) & 1) * row_size + width
    zm[after + labels] = 1.0
    ze[after + labels] = 0
    for t in range(frames, 0, -1):
        first, last = _chunks_in_reach(t, frames, labels, width)
        write_label_emissions_extended(em, ee, (t - 1) * slots, slot, first * width, (last + 1) * width, pm, pe)
        after = ((t + 1) & 1) * row_size + width
        here = (t & 1) * row_size + width
        forward = t * row_size + width
        one = load(pm, 0)
        blank_m = full_like(one, em[(t - 1) * slots + blank])
        blank_e = full_like(load(pe, 0), ee[(t - 1) * slots + blank])
        none = full_like(blank_e, zero)
        total_e = full_like(blank_e, top_e)
        blanks = full_like(one, 0.0)
        for u in range(slots):
            posterior[u] = 0.0
        for at in ((first - 1) * width, (last + 1) * width):
            _clear_chunk(ym, ye, here + at, zero)
            _clear_chunk(zm, ze, here + at, zero)
        for c in range(first, last + 1):
            l = c * width
            y_m, y_e = load(ym, after + l), load(ye, after + l)
            m, e = add_extended(load(zm, after + l), load(ze, after + l), y_m, y_e)
            m, e = normalize_extended(m, e, none)
            blanks = blanks + load(bm, forward + l) * m * power_of_two(m, load(be, forward + l) + e - total_e)
            store(zm, here + l, m * blank_m)
            store(ze, here + l, e + blank_e)
            open_ = less(none, load(skip, l + 1))
            m, e = add_extended(
                load(zm, after + l + 1),
                load(ze, after + l + 1),
                select(open_, load(ym, after + l + 1), full_like(m, 0.0)),
                select(open_, load(ye, after + l + 1), none),
            )
            m, e = add_extended(m, e, y_m, y_e)
            m, e = normalize_extended(m, e, none)
            p = load(am, forward + l) * m * power_of_two(m, load(ae, forward + l) + e - total_e)
            store(ym, here + l, m * load(pm, l))
            store(ye, here + l, e + load(pe, l))
            if any_lane(less(full_like(p, 0.0), p)):
                store(q, 0, p)
                for lane in range(min(width, labels - l)):
                    posterior[slot[l + lane]] += q[lane]
        posterior[blank] += reduce_sum(blanks)
        totals[0] = 0.0
        for u in range(slots):
            totals[0] += posterior[u]
        write_gradient(measured, t - 1, 1, 1, posterior, totals, softmax, weight)
