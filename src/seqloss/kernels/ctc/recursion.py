"""The sums over paths of one row in extended-exponent numbers, forward and backward: the fallback of `blocks.py`.

A target l_1..l_L has 2L + 1 states: a blank before each label, the labels, and a blank at the end. Label states `a` and
blank states `b` are in separate arrays, so that the label before is the only operand from another lane:

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

The state before the first frame is 1 on b[0]; the state after the last frame is 1 on b[L]. So all frames take the same
step. (a, b) is Graves' α. His β contains the emission of its own frame; here β does not, and the backward recursion
runs over (y, z) = β * p of labels and blanks. The posterior of a state is α β over the sum of all α β of its frame, so
that drift over thousands of frames cancels. The gradient of the loss is softmax - posterior (`gradient.py`).

Sums are extended-exponent numbers (`numba/extended_exponent.py`): float64 mantissas in one array, exponents in another.
Names ending in m are mantissas, those in e exponents. Arrays of sums have an empty chunk before label 0, so that the
label before can be loaded without a condition.

A frame computes only the chunks of labels that a path can reach by then and from which it can still end. The chunks
beside them are cleared, because the next frame may read them.
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
    """Write zeros to a chunk."""
    blank_m = load(m, position)
    blank_e = load(e, position)
    store(m, position, full_like(blank_m, 0.0))
    store(e, position, full_like(blank_e, zero))


@inlined
def _chunks_in_reach(t, frames, labels, width):
    """The first and the last chunk of labels that a path can be in at frame t (from 1)."""
    low = labels - 1 - (frames - t)
    high = min(labels, t - 1)
    return max(low, 0) // width, high // width


@subroutine
def sum_forward_extended(frames, labels, blank, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, row_size, keep):
    """Write α of labels (am, ae) and blanks (bm, be).

    Args:
        skip: exponents, ZERO_EXPONENT where a label may not follow the one before it without a blank.
        em, ee: (frames, slots), emissions; pm, pe: (labels,), scratch for the emissions of labels.
        row_size: elements of a frame's sums.
        keep: store all frames, (frames + 1, row_size); otherwise two rows are used in turn.
    """
    width = lane_count(am)
    zero = ZERO_EXPONENT
    # 1. before the first frame: 1 on the first blank
    for at in (0, width, 2 * width):
        _clear_chunk(am, ae, at, zero)
        _clear_chunk(bm, be, at, zero)
    bm[width] = 1.0
    be[width] = 0
    for t in range(1, frames + 1):
        # 2. the frame's emissions by label; the chunks beside those in reach are 0 for this frame and the next
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
            # 3. blanks: from the blank itself and from the label before
            previous_m = load(am, before + l - 1)
            previous_e = load(ae, before + l - 1)
            b_m = load(bm, before + l)
            b_e = load(be, before + l)
            m, e = add_extended(b_m, b_e, previous_m, previous_e)
            m, e = normalize_extended(m * blank_m, e + blank_e, none)
            store(bm, here + l, m)
            store(be, here + l, e)
            # 4. labels: from the label itself, its blank, and the label before where it is another class
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
    """The sum over all paths, which end in the last label or blank: a mantissa (0 if no path fits) and an exponent."""
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
    """ln(m * 2^e), accurate near 1 too: there log1p keeps the digits."""
    if -2 <= e <= 1:
        return math.log1p(math.ldexp(m, np.int32(e)) - 1.0)
    return math.log(m) + e * LN2


@subroutine
def backward_extended(
    measured, frames, labels, blank, slot, slots, skip, em, ee, pm, pe, am, ae, bm, be, row_size,
    ym, ye, zm, ze, q, top_e, posterior, totals, softmax, weight,
):  # fmt: skip
    """Run β backward and write the gradient of the `measured` frames, one by one.

    Args:
        ym, ye, zm, ze: scratch, β * p of labels and blanks, two rows used in turn.
        q: scratch, one chunk; top_e: the exponent of the sum over all paths.
        posterior, totals: scratch, one frame's posteriors by number, and their sum.
        The others as for `sum_forward_extended` and `gradient.write_gradient`.
    """
    width = lane_count(am)
    zero = ZERO_EXPONENT
    # 1. after the last frame: 1 on the last blank
    for at in range(0, 2 * row_size + width, width):
        _clear_chunk(ym, ye, at, zero)
        _clear_chunk(zm, ze, at, zero)
    after = ((frames + 1) & 1) * row_size + width
    zm[after + labels] = 1.0
    ze[after + labels] = 0
    for t in range(frames, 0, -1):
        # 2. as in the forward pass
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
            # 3. β of a blank: to itself and to its label. α β / 2^total_e is in float64's range: a share of a frame
            y_m, y_e = load(ym, after + l), load(ye, after + l)
            m, e = add_extended(load(zm, after + l), load(ze, after + l), y_m, y_e)
            m, e = normalize_extended(m, e, none)
            blanks = blanks + load(bm, forward + l) * m * power_of_two(m, load(be, forward + l) + e - total_e)
            store(zm, here + l, m * blank_m)
            store(ze, here + l, e + blank_e)
            # 4. β of a label: to itself, to the next blank, and to the next label where it is another class
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
            if any_lane(less(full_like(p, 0.0), p)):  # 5. by class; a chunk without posteriors takes no scalar loop
                store(q, 0, p)
                for lane in range(min(width, labels - l)):
                    posterior[slot[l + lane]] += q[lane]
        posterior[blank] += reduce_sum(blanks)
        totals[0] = 0.0
        for u in range(slots):
            totals[0] += posterior[u]
        write_gradient(measured, t - 1, 1, 1, posterior, totals, softmax, weight)
