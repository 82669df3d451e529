"""Posteriors by class: the shares of all labels of a class, added in a fixed order, divided by their frame's sum.

The labels of a class form a chain in ascending order (`prepared_targets.Groups`); the sum goes to the place of the
first, its leader. Dividing by the frame's own sum cancels the drift over the frames before and after. For the likeliest
class of a frame, the complement is stored too: the sum of all others divided by the whole. So a posterior near 1 loses
no digits in the gradient.

`tl.max_contiguous` is used as in `step.py`. Here a lane has several addresses in any order. No access spans two of
them: the compiler joins accesses only if it knows that an address is even, and for loaded places it does not.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.loss import WITH_A_PATH, Losses
from seqloss.kernels.triton.ctc.posteriors import Shares
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets, has_few_classes, load_leader
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.pairs import sum_pairwise
from seqloss.kernels.triton.tiles import cdiv, labels_tile, power_of_two

NO_PLACE = tl.constexpr(2**31 - 1)


class Posteriors(NamedTuple):
    """Posteriors of the frames in use of rows with a path; the rest is not initialised.

    Attributes:
        labels: float32 (batch, time, labels + 1), the posterior of each class in the place of its leader, and of the
            blank in the last place.
        likeliest: int32 (batch, time), the likeliest class where its posterior is over one half, else -1.
        complement: float32 (batch, time), the sum of the other posteriors.
    """

    labels: torch.Tensor
    likeliest: torch.Tensor
    complement: torch.Tensor


@triton.jit
def _sum_chains(
    lines_of, leaders, following, row, unit, used, count, longest, classes, BY_CLASS: tl.constexpr,
    FRAMES: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """The places of units (classes, or labels), whether they are leaders, and the sums of their chains.

    Each iteration adds two members of every chain: (frames, units).
    """
    place, leads = load_leader(leaders, row, unit, count, longest, classes, BY_CLASS)
    sums = tl.zeros([FRAMES, UNITS], tl.float32)
    member = tl.where(leads, place, -1)
    while tl.max(member, 0) >= 0:
        for _ in tl.static_range(2):
            here = (member >= 0)[None, :] & used[:, None]
            sums += tl.load(tl.max_contiguous(lines_of + member[None, :], [1, 2]), mask=here, other=0.0)
            member = tl.load(following + row * longest + member, mask=member >= 0, other=-1)
    return place, leads, sums


@triton.jit
def _update_likeliest(place, leads, sums, most, most_place):
    """The largest sum so far of each frame, and its place; of equals, the first."""
    sums = tl.where(leads[None, :], sums, -1.0)
    block_most = tl.max(sums, 1)
    block_place = tl.min(tl.where(sums == block_most[:, None], place[None, :], NO_PLACE), 1)
    return tl.maximum(most, block_most), tl.where(block_most > most, block_place, most_place)


@triton.jit
def _is_not_likeliest(place, leads, used, most_place):
    """Mask of the sums that are not the likeliest class's."""
    return leads[None, :] & used[:, None] & (place[None, :] != most_place[:, None])


@triton.jit
def _by_class_kernel(
    shares, blank_shares, labels, leaders, following, counts, frames, status, likeliest_out, complement_out,
    time, longest, classes, blank, lines, columns,
    BY_CLASS: tl.constexpr, ONE: tl.constexpr, FRAMES: tl.constexpr, UNITS: tl.constexpr, LINES: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(time, FRAMES)
    row = (tl.program_id(0) // blocks).to(tl.int64)
    t = (tl.program_id(0) % blocks) * FRAMES + tl.arange(0, FRAMES)
    length = tl.load(frames + row)
    length = tl.where(tl.load(status + row) == WITH_A_PATH, length, 0)
    count = tl.load(counts + row)
    used = t < length
    # 1. the blank's share: lines of columns, added pairwise
    line = (row * time + t) * (longest + 1)
    chunk = tl.arange(0, LINES)
    there = (chunk < lines) & (chunk * columns <= count)
    of_lines = (blank_shares + (row * time + t) * lines)[:, None] + chunk[None, :]
    of_blank = sum_pairwise(tl.load(of_lines, mask=there[None, :] & used[:, None], other=0.0), FRAMES, LINES)
    most = tl.where(used, -1.0, 0.0)
    most_place = tl.full([FRAMES], NO_PLACE, tl.int32)
    units = count
    if BY_CLASS:
        units = classes
    lines_of = (shares + line)[:, None]
    unit = tl.arange(0, UNITS)
    if tl.max(used.to(tl.int32), 0) > 0:
        # 2. the sum of each class and the likeliest class; in one block of units, sums stay in registers, otherwise
        #    they are stored in the leader's place and loaded again
        if ONE:
            place, leads, sums = _sum_chains(
                lines_of, leaders, following, row, unit, used, count, longest, classes, BY_CLASS, FRAMES, UNITS
            )
            most, most_place = _update_likeliest(place, leads, sums, most, most_place)
        else:
            start = 0
            while start < units:
                place, leads, sums = _sum_chains(
                    lines_of, leaders, following, row, start + unit, used, count, longest, classes, BY_CLASS, FRAMES,
                    UNITS,
                )  # fmt: skip
                at = tl.max_contiguous(lines_of + place[None, :], [1, 2])
                tl.store(at, sums, mask=leads[None, :] & used[:, None])
                most, most_place = _update_likeliest(place, leads, sums, most, most_place)
                start += UNITS
        # 3. the likeliest may be the blank; `rest` is the sum of all others, pairwise
        of_label = most > of_blank
        most = tl.maximum(most, of_blank)
        most_place = tl.where(of_label, most_place, NO_PLACE)
        rest = tl.where(of_label, of_blank, 0.0)
        if ONE:
            rest += sum_pairwise(tl.where(_is_not_likeliest(place, leads, used, most_place), sums, 0.0), FRAMES, UNITS)
        else:
            tl.debug_barrier()
            start = 0
            while start < units:
                place, leads = load_leader(leaders, row, start + unit, count, longest, classes, BY_CLASS)
                at = tl.max_contiguous(lines_of + place[None, :], [1, 2])
                found = tl.load(at, mask=_is_not_likeliest(place, leads, used, most_place), other=0.0)
                rest += sum_pairwise(found, FRAMES, UNITS)
                start += UNITS
        # 4. divide by the frame's sum, correctly rounded
        total = tl.where(used, rest + most, 1.0)
        whole = tl.broadcast_to(total[:, None], [FRAMES, UNITS])
        if ONE:
            at = tl.max_contiguous(lines_of + place[None, :], [1, 2])
            tl.store(at, tl.div_rn(sums, whole), mask=leads[None, :] & used[:, None])
        else:
            start = 0
            while start < units:
                place, leads = load_leader(leaders, row, start + unit, count, longest, classes, BY_CLASS)
                ours = leads[None, :] & used[:, None]
                at = tl.max_contiguous(lines_of + place[None, :], [1, 2])
                tl.store(at, tl.div_rn(tl.load(at, mask=ours, other=0.0), whole), mask=ours)
                start += UNITS
        number = tl.load(labels + row * longest + most_place, mask=used & of_label, other=blank)
        tl.store(shares + line + longest, tl.div_rn(of_blank, total), mask=used)
        tl.store(likeliest_out + row * time + t, tl.where(rest < most, number, -1), mask=used)
        tl.store(complement_out + row * time + t, tl.div_rn(rest, total), mask=used)


def find_posteriors(
    shares: Shares, prepared: PreparedTargets, losses: Losses, *, classes: int, blank: int
) -> Posteriors:
    """Turn shares of labels into posteriors of classes, in place."""
    assert prepared.groups is not None
    batch, time, labels = shares.labels.shape
    lines, device = shares.blanks.shape[2], shares.labels.device
    likeliest = torch.empty((batch, time), dtype=torch.int32, device=device)
    complement = torch.empty((batch, time), dtype=torch.float32, device=device)
    few = has_few_classes(classes)
    units = classes if few else labels - 1
    tile = labels_tile(device, time, units)
    if batch and time:
        launch_kernel(
            _by_class_kernel, batch * cdiv(time, tile.rows),
            shares.labels, shares.blanks, prepared.labels, *prepared.groups, prepared.counts, prepared.frames,
            losses.status, likeliest, complement, time, labels - 1, classes, blank, lines, shares.columns,
            BY_CLASS=few, ONE=units <= tile.columns, FRAMES=tile.rows, UNITS=tile.columns, LINES=power_of_two(lines),
            warps=tile.warps,
        )  # fmt: skip
    return Posteriors(shares.labels, likeliest, complement)
