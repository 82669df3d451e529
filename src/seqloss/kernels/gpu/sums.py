"""The sums over paths: one walk forward and one backward through each row, side by side.

A walk holds a block of states in registers and goes frame by frame; the scores of the next frames are on their way
meanwhile. Several walks share a program where targets are short, so that a warp is full; walks of rows of like length
share one, the longest first. A target longer than a block is swept block by block: the first block leaves, frame by
frame, what its last label holds, and the next one reads it. One program does all blocks of its walks one after the
other, so that a barrier within the program is the only one, whatever lengths the device holds.

For the posteriors, the states are kept every `stride` frames, as two words each:

    2 walks * batch * ceil(time / stride) * (labels + 1) * 16 bytes,        stride = ceil(sqrt(time)),

from where `posteriors.py` walks again. A walk's last states give the sum over all paths. For a loss alone backward
walks do, and nothing is kept.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.gpu.frames import Frames
from seqloss.kernels.gpu.launch import start
from seqloss.kernels.gpu.main_path import MainPath
from seqloss.kernels.gpu.step import NOWHERE, emitted, step
from seqloss.kernels.gpu.text import Text
from seqloss.kernels.gpu.tiles import cdiv, walks_tile
from seqloss.kernels.gpu.wide import NOTHING, indicator


class Sums(NamedTuple):
    """What the walks leave.

    Attributes:
        ends: int32 (batch, 4), of the backward walk: last label and last blank, value's bits and exponent; in rows that
            spell their target without the main path.
        checkpoints: int32 (batch, 2, segments, 4, labels + 1), states before each segment's first frame, forward, and
            after its last, backward; (a, b)'s bits and exponents. None for a loss alone.
        stride: frames of a segment.
    """

    ends: torch.Tensor
    checkpoints: torch.Tensor | None
    stride: int


@triton.jit
def numbered(ROWS: tl.constexpr, CHUNKS: tl.constexpr):
    """Which of the program's ROWS each line is of, counted over all programs: (lines, 1), or a number."""
    number = tl.program_id(0)
    if ROWS > 1:
        number = (number * ROWS + tl.arange(0, ROWS * CHUNKS) // CHUNKS)[:, None]
    return number


@triton.jit
def most_of(x, ROWS: tl.constexpr):
    """The largest of all lines, a number."""
    if ROWS > 1:
        x = tl.max(x)
    return x


@triton.jit
def first_columns(start, chunk, lane, LANES: tl.constexpr, PARTS: tl.constexpr):
    """Each lane's first column of a block, in the target, (lines, lanes)."""
    return start + (chunk * LANES + lane) * PARTS


@triton.jit
def label_columns(labels, row, longest, count, backward, place, there, PARTS: tl.constexpr):
    """In a walk's own order, as tuples of (lines, lanes): which label each column is, whether it is one, and whether
    that may follow the one before without a blank between."""
    columns, inside, skip = (), (), ()
    line = labels + row * longest
    for i in tl.static_range(PARTS):
        here = tl.where(backward, count - 1 - (place + i), place + i)
        one = (place + i < count) & there
        before = tl.where(backward, here + 1, here - 1)
        follows = one & (place + i > 0)
        differs = tl.load(line + here, mask=follows, other=0) != tl.load(line + before, mask=follows, other=0)
        columns, inside, skip = columns + (here,), inside + (one,), skip + (follows & differs,)
    return columns, inside, skip


@triton.jit
def main_state(states, row, time, frame, main, known):
    """The main path's state in a frame, as a forward walk counts them."""
    return tl.load(states + row * time + frame, mask=main & known, other=0)


@triton.jit
def in_own_order(state, count, main, known):
    """It as a backward walk counts them; NOWHERE where the walk has none."""
    return tl.where(main, tl.where(known, 2 * count - state, 0), NOWHERE)


@triton.jit
def bring(
    emissions, states, row, time, frame, pace, left, columns, inside, main, longest, PARTS: tl.constexpr,
    TOGETHER: tl.constexpr,
):  # fmt: skip
    """What the next frames need, `left` of them at the most: what their labels emit, one after another, their blanks,
    the main path's states."""
    labels, blanks, stands = (), (), ()
    for j in tl.static_range(TOGETHER):
        some, blank = emitted(emissions, row * time + frame + j * pace, columns, inside, left > j, longest, PARTS)
        labels, blanks = labels + some, blanks + (blank,)
        stands = stands + (main_state(states, row, time, frame + j * pace, main, left > j),)
    return labels, blanks, stands


@triton.jit
def of_frame(labels, j: tl.constexpr, PARTS: tl.constexpr):
    """One frame's labels of those that were brought together."""
    found = ()
    for i in tl.static_range(PARTS):
        found = found + (labels[j * PARTS + i],)
    return found


@triton.jit
def nothing(LINES: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr):
    """A zero of each column."""
    value, exponent = (), ()
    for _ in tl.static_range(PARTS):
        value = value + (tl.zeros([LINES, LANES], tl.float32),)
        exponent = exponent + (tl.full([LINES, LANES], NOTHING, tl.int32),)
    return value, exponent


@triton.jit
def on_first_blank(begins, place, PARTS: tl.constexpr):
    """1 on the first blank of the rows that begin there."""
    value, exponent = (), ()
    for i in tl.static_range(PARTS):
        one, one_exponent = indicator((place + i == 0) & begins)
        value, exponent = value + (one,), exponent + (one_exponent,)
    return value, exponent


@triton.jit
def keep(out, place, count, longest, kept, a, a_exponent, b, b_exponent, PARTS: tl.constexpr):
    """Store states as four lines of words."""
    for i in tl.static_range(PARTS):
        inside = kept & (place + i <= count)
        at = tl.max_contiguous(out + (place + i), [1, 2])
        tl.store(at, a[i].to(tl.int32, bitcast=True), mask=inside)
        tl.store(at + (longest + 1), a_exponent[i], mask=inside)
        tl.store(at + 2 * (longest + 1), b[i].to(tl.int32, bitcast=True), mask=inside)
        tl.store(at + 3 * (longest + 1), b_exponent[i], mask=inside)


@triton.jit
def pass_on(edges, frame, place, last, a, a_exponent, PARTS: tl.constexpr):
    """Leave the `last` label of the block for the next block."""
    at = tl.max_contiguous(edges + 2 * frame + tl.where(last, 0, place), [1, 2])
    tl.store(at, a[PARTS - 1].to(tl.int32, bitcast=True), mask=last)
    tl.store(at + 1, a_exponent[PARTS - 1], mask=last)


@triton.jit
def take_over(edges, frame, alive):
    """What the block before left: its last label, one of each line."""
    at = edges + 2 * frame
    value = tl.load(at, mask=alive, other=0).to(tl.float32, bitcast=True)
    return value, tl.load(at + 1, mask=alive, other=NOTHING)


@triton.jit
def going_on(alive, new, old, PARTS: tl.constexpr):
    """New values where a walk goes on."""
    chosen = ()
    for i in tl.static_range(PARTS):
        chosen = chosen + (tl.where(alive, new[i], old[i]),)
    return chosen


@triton.jit
def _sums_kernel(
    emissions, labels, counts, frames, states, spells, order, ends, edges, checkpoints,
    walks, time, longest, segments, stride,
    WAYS: tl.constexpr, KEEP: tl.constexpr, MANY: tl.constexpr,
    ROWS: tl.constexpr, CHUNKS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    LINES: tl.constexpr = ROWS * CHUNKS
    chunk = (tl.arange(0, LINES) % CHUNKS)[:, None]
    lane = tl.arange(0, LANES)[None, :]
    walk = numbered(ROWS, CHUNKS)
    there = walk < walks
    row = tl.load(order + walk // WAYS, mask=there, other=0).to(tl.int64)
    backward = walk % WAYS == 0
    length = tl.load(frames + row, mask=there, other=0)
    count = tl.load(counts + row, mask=there, other=-1)
    main = backward & there & (tl.load(spells + row, mask=there, other=0) > 0)
    any_main = most_of(main.to(tl.int32), ROWS) > 0
    most_frames = most_of(length, ROWS)
    most_labels = most_of(count, ROWS)
    line = longest + 1
    first = tl.where(backward, length - 1, 0)
    pace = tl.where(backward, -1, 1)
    even = edges + walk.to(tl.int64) * (2 * time)
    odd = edges + (walk.to(tl.int64) + walks) * (2 * time)
    first_gap = tl.where(backward, (length - 1) % stride + 1, stride)
    start = 0
    while start <= most_labels:
        place = first_columns(start, chunk, lane, LANES, PARTS)
        ends_block = (chunk == CHUNKS - 1) & (lane == LANES - 1)
        columns, inside, skip = label_columns(labels, row, longest, count, backward, place, there, PARTS)
        a, a_exponent = nothing(LINES, LANES, PARTS)
        b, b_exponent = on_first_blank(there & (main == 0), place, PARTS)
        frame = first
        ps, qs, stands = bring(
            emissions, states, row, time, frame, pace, length, columns, inside, main, longest, PARTS, TOGETHER
        )  # fmt: skip
        state = tl.where(main, 0, NOWHERE)
        edge, edge_exponent = 0.0 * first, 0 * first + NOTHING
        border, gap = 0 * first_gap, first_gap
        u = 0
        while u < most_frames:
            next_ps, next_qs, next_stands = bring(
                emissions, states, row, time, frame + TOGETHER * pace, pace, length - (u + TOGETHER), columns, inside,
                main, longest, PARTS, TOGETHER,
            )  # fmt: skip
            for j in tl.static_range(TOGETHER):
                alive = u + j < length
                if KEEP:
                    here = u + j == border
                    kept = alive & here
                    if most_of(kept.to(tl.int32), ROWS) > 0:
                        segment = (row * 2 + backward.to(tl.int64)) * segments + frame // stride
                        out = checkpoints + segment * (4 * line)
                        keep(out, place, count, longest, kept, a, a_exponent, b, b_exponent, PARTS)
                        border = tl.where(here, border + gap, border)
                        gap = tl.where(here, stride, gap)
                if MANY:
                    pass_on(even, u + j, place, alive & ends_block, a, a_exponent, PARTS)
                    if start > 0:
                        edge, edge_exponent = take_over(odd, u + j, alive)
                next_state = in_own_order(stands[j], count, main, alive)
                new_a, new_a_exponent, new_b, new_b_exponent, _a, _ae, _b, _be = step(
                    a, a_exponent, b, b_exponent, edge, edge_exponent, of_frame(ps, j, PARTS), qs[j], state,
                    next_state, any_main, skip, place, lane, LINES, LANES, PARTS, CHUNKS,
                )  # fmt: skip
                a, a_exponent = going_on(alive, new_a, a, PARTS), going_on(alive, new_a_exponent, a_exponent, PARTS)
                b, b_exponent = going_on(alive, new_b, b, PARTS), going_on(alive, new_b_exponent, b_exponent, PARTS)
                state = next_state
                frame += pace
            ps, qs, stands = next_ps, next_qs, next_stands
            u += TOGETHER
        ours = backward & there
        final = ends + row * 4 + 0 * place
        for i in tl.static_range(PARTS):
            on_label, on_blank = ours & (place + i == count - 1), ours & (place + i == count)
            tl.store(final, a[i].to(tl.int32, bitcast=True), mask=on_label)
            tl.store(final + 1, a_exponent[i], mask=on_label)
            tl.store(final + 2, b[i].to(tl.int32, bitcast=True), mask=on_blank)
            tl.store(final + 3, b_exponent[i], mask=on_blank)
        empty = ours & (place == 0) & (count == 0)
        tl.store(final, 0 * place, mask=empty)
        tl.store(final + 1, 0 * place + NOTHING, mask=empty)
        if MANY:
            even, odd = odd, even
            tl.debug_barrier()
        start += CHUNKS * LANES * PARTS


def segment_frames(time: int) -> int:
    """How many frames lie between two kept states."""
    return max(1, math.isqrt(max(0, time - 1)) + 1)


def sum_paths(frames: Frames, text: Text, main: MainPath, *, keep_states: bool) -> Sums:
    """Walk through every row; with `keep_states` both ways."""
    assert frames.emissions is not None
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
    edges = torch.empty((2, walks, time if many else 0, 2), **new)
    if batch:
        start(
            _sums_kernel, cdiv(walks, tile.rows),
            frames.emissions, text.labels, text.counts, main.walked, main.states, main.spells, text.order,
            ends, edges, checkpoints, walks, time, longest, segments, stride,
            WAYS=ways, KEEP=keep_states, MANY=many, ROWS=tile.rows, CHUNKS=tile.chunks, LANES=tile.lanes,
            PARTS=tile.parts, TOGETHER=tile.together, warps=tile.warps,
        )  # fmt: skip
    return Sums(ends, checkpoints, stride)
