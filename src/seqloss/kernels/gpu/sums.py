"""The sums over paths: one walk forward and one backward through each row, side by side.

A walk holds a block of states in registers and goes frame by frame; the scores of the next frames are on their way
meanwhile. Several walks share a program where targets are short, so that a warp is full; walks of rows of like length share
one, the longest first. A target longer than a block is swept block by block: the first block leaves, frame by frame, what its
last label holds, and the next one reads it. One program does all blocks of its walks one after the other, so that a barrier
within the program is the only one, whatever lengths the device holds.

For the posteriors, the states are kept every `stride` frames, as two words each:

    2 walks * batch * ceil(time / stride) * (labels + 1) * 16 bytes,        stride = ceil(sqrt(time)) + (odd)

from where `posteriors.py` walks again. A walk's last states give the sum over all paths. For a loss alone backward walks do, and
nothing is kept.
"""

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.gpu.frames import Frames
from seqloss.kernels.gpu.main_path import MainPath
from seqloss.kernels.gpu.step import NOWHERE, emissions, step
from seqloss.kernels.gpu.text import Text
from seqloss.kernels.gpu.tiles import walks_tile
from seqloss.kernels.gpu.wide import NOTHING


class Sums(NamedTuple):
    """What the walks leave.

    Attributes:
        ends: int32 (batch, 4), of the backward walk: last label and last blank, value's bits and exponent; in rows that spell
            their target without the main path.
        checkpoints: int32 (batch, 2, segments, 4, labels + 1), states before each segment's first frame, forward, and after
            its last, backward; (a, b)'s bits and exponents. None for a loss alone.
        stride: frames of a segment.
    """

    ends: torch.Tensor
    checkpoints: torch.Tensor | None
    stride: int


@triton.jit
def skips(labels, row, longest, count, place, backward):
    """Labels that may follow the one before, in the walk's own order, without a blank between; (rows, labels)."""
    here = tl.where(backward, count - 1 - place, place)
    before = tl.where(backward, count - place, place - 1)
    inside = (place > 0) & (place < count)
    line = labels + row * longest
    return inside & (tl.load(line + here, mask=inside, other=0) != tl.load(line + before, mask=inside, other=0))


@triton.jit
def main_state(states, row, time, frame, count, spells, known):
    """The main path's state in a frame, in a backward walk's order; NOWHERE where the walk has none, (rows,)."""
    state = tl.load(states + row * time + frame, mask=spells & known, other=0)
    return tl.where(spells, tl.where(known, 2 * count - state, 0), NOWHERE)


@triton.jit
def keep(out, place, longest, inside, a, a_exponent, b, b_exponent):
    """Store states as four lines of words."""
    tl.store(out + place, a.to(tl.int32, bitcast=True), mask=inside)
    tl.store(out + (longest + 1) + place, a_exponent, mask=inside)
    tl.store(out + 2 * (longest + 1) + place, b.to(tl.int32, bitcast=True), mask=inside)
    tl.store(out + 3 * (longest + 1) + place, b_exponent, mask=inside)


@triton.jit
def _sums_kernel(
    distances, labels, counts, frames, states, spells, order, ends, edges, checkpoints,
    walks, time, longest, segments, stride,
    WAYS: tl.constexpr, KEEP: tl.constexpr, MANY: tl.constexpr, ROWS: tl.constexpr, LABELS: tl.constexpr,
):  # fmt: skip
    walk = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    there = walk < walks
    row = tl.load(order + walk // WAYS, mask=there, other=0)  # int64
    backward = walk % WAYS == 0
    length = tl.load(frames + row, mask=there, other=0)
    count = tl.load(counts + row, mask=there, other=-1)
    main = backward & there & (tl.load(spells + row, mask=there, other=0) > 0)
    any_main = tl.max(main.to(tl.int32), 0) > 0
    most_frames = tl.max(length, 0)
    most_labels = tl.max(count, 0)
    column = tl.arange(0, LABELS)[None, :]
    line = longest + 1
    start = 0
    while start <= most_labels:
        place = start + column
        inside = place < count[:, None]
        reads = there[:, None] & (place <= count[:, None])
        skip = skips(labels, row[:, None], longest, count[:, None], place, backward[:, None])
        label_place = tl.where(backward[:, None], count[:, None] - 1 - place, place)
        one = (place == 0) & (main == 0)[:, None] & there[:, None]
        a = tl.zeros([ROWS, LABELS], tl.float32)
        a_exponent = tl.full([ROWS, LABELS], NOTHING, tl.int32)
        b = tl.where(one, 1.0, 0.0)
        b_exponent = tl.where(one, 0, NOTHING)
        first = tl.where(backward, length - 1, 0)
        frame = first
        pace = tl.where(backward, -1, 1)
        base = (row * time + frame) * line
        ahead = pace.to(tl.int64) * line
        at = base[:, None] + label_place
        last = base + longest
        scores, blank = emissions(distances, at, inside, length > 0, last)
        at += ahead[:, None]
        last += ahead
        next_scores, next_blank = emissions(distances, at, inside, length > 1, last)
        at += ahead[:, None]
        last += ahead
        third_scores, third_blank = emissions(distances, at, inside, length > 2, last)
        state = tl.where(main, 0, NOWHERE)
        edge = tl.zeros([ROWS, 1], tl.float32)
        edge_exponent = tl.full([ROWS, 1], NOTHING, tl.int32)
        u = 0
        while u < most_frames:
            alive = u < length
            if KEEP:
                borders = (frame + tl.where(backward, 1, 0)) % stride == 0
                kept = alive & (borders | (frame == first))
                if tl.max(kept.to(tl.int32), 0) > 0:
                    segment = (row * 2 + backward.to(tl.int64)) * segments + frame // stride
                    out = checkpoints + (segment * (4 * line))[:, None]
                    keep(out, place, longest, kept[:, None] & reads, a, a_exponent, b, b_exponent)
            if MANY:
                corner = edges + (((start // LABELS) % 2) * walks.to(tl.int64) + walk) * (2 * time) + 2 * u
                other = edges + (((start // LABELS + 1) % 2) * walks.to(tl.int64) + walk) * (2 * time) + 2 * u
                whole = alive[:, None] & (column == LABELS - 1)
                tl.store(corner[:, None] + 0 * column, a.to(tl.int32, bitcast=True), mask=whole)
                tl.store(corner[:, None] + 0 * column + 1, a_exponent, mask=whole)
                if start > 0:
                    edge = tl.load(other, mask=alive, other=0).to(tl.float32, bitcast=True)[:, None]
                    edge_exponent = tl.load(other + 1, mask=alive, other=NOTHING)[:, None]
            next_state = main_state(states, row, time, frame, count, main, alive)
            at += ahead[:, None]
            last += ahead
            fourth_scores, fourth_blank = emissions(distances, at, inside, u + 3 < length, last)
            new_a, new_a_exponent, new_b, new_b_exponent, _a, _ae, _b, _be = step(
                a, a_exponent, b, b_exponent, edge, edge_exponent, scores, blank,
                state[:, None], next_state[:, None], any_main, skip, place, column,
            )  # fmt: skip
            if ROWS == 1:
                a, a_exponent, b, b_exponent = new_a, new_a_exponent, new_b, new_b_exponent
            else:
                going = alive[:, None]
                a = tl.where(going, new_a, a)
                a_exponent = tl.where(going, new_a_exponent, a_exponent)
                b = tl.where(going, new_b, b)
                b_exponent = tl.where(going, new_b_exponent, b_exponent)
            scores, blank = next_scores, next_blank
            next_scores, next_blank = third_scores, third_blank
            third_scores, third_blank = fourth_scores, fourth_blank
            state = next_state
            frame += pace
            u += 1
        final = ends + (row * 4)[:, None] + 0 * column
        ours = (backward & there)[:, None]
        tl.store(final, a.to(tl.int32, bitcast=True), mask=ours & (place == count[:, None] - 1))
        tl.store(final + 1, a_exponent, mask=ours & (place == count[:, None] - 1))
        tl.store(final + 2, b.to(tl.int32, bitcast=True), mask=ours & (place == count[:, None]))
        tl.store(final + 3, b_exponent, mask=ours & (place == count[:, None]))
        empty = ours & (place == 0) & (count[:, None] == 0)
        tl.store(final, 0 * place, mask=empty)
        tl.store(final + 1, 0 * place + NOTHING, mask=empty)
        if MANY:
            tl.debug_barrier()
        start += LABELS


def segment_frames(time: int) -> int:
    """How many frames lie between two kept states."""
    return max(1, math.isqrt(max(0, time - 1)) + 1)


def sum_paths(frames: Frames, text: Text, main: MainPath, *, keep_states: bool) -> Sums:
    """Walk through every row; with `keep_states` both ways."""
    assert frames.distances is not None
    batch, time = frames.best.shape
    longest = text.labels.shape[1]
    new = {"dtype": torch.int32, "device": frames.best.device}
    stride = segment_frames(time)
    segments, ways = -(-time // stride), 2 if keep_states else 1
    walks = ways * batch
    tile = walks_tile(frames.best.device, walks, longest)
    many = longest + 1 > tile.columns
    ends = torch.empty((batch, 4), **new)
    checkpoints = torch.empty((batch, 2, segments, 4, longest + 1), **new) if keep_states else None
    edges = torch.empty((2, walks, time, 2), **new) if many else None
    if batch:
        order = torch.argsort(main.walked, descending=True, stable=True)
        _sums_kernel[(triton.cdiv(walks, tile.rows),)](
            frames.distances, text.labels, text.counts, main.walked, main.states, main.spells, order, ends, edges,
            checkpoints, walks, time, longest, segments, stride,
            WAYS=ways, KEEP=keep_states, MANY=many, ROWS=tile.rows, LABELS=tile.columns, **tile.options,
        )  # fmt: skip
    return Sums(ends, checkpoints, stride)
