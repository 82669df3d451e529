"""Posteriors by label: each segment of frames is walked through again, from the states kept on both sides of it.

Forward first, each frame's sums into scratch; then backward, and each backward sum, its frame's emission left out,
meets the forward sum of its state, emission included:

    share[t, s] = alpha_t(s) * beta_t(s) / 2^(32 k),    k of the row, so that a frame's shares add up to some 1 to 2^32

A label's share takes the place of its distance, which nobody reads again; the blanks' are added up, in pairs. All
segments of a wave are independent programs: beside the walks, which wait for their own last frame, they are short.
Walking again costs about

    (batch * ceil(time / stride) / programs that run at once) * 2 stride frames.

Scratch holds a wave's states, and waves are as large as what stands in `PROGRAMS` and `SCRATCH` allows. So,
with `sums.py`,

    stored bytes = 16 (labels + 1) * (2 batch * segments + wave * stride),    segments and stride some sqrt(time),

and for targets longer than a block 16 (2 batch * time + wave * stride) more, what blocks leave to each other.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import torch
import triton
import triton.language as tl

from seqloss.kernels.gpu.frames import Frames
from seqloss.kernels.gpu.main_path import MainPath
from seqloss.kernels.gpu.pairs import pairwise, pairwise_over_parts
from seqloss.kernels.gpu.step import NOWHERE, emissions, step, weights
from seqloss.kernels.gpu.sums import (
    Sums,
    in_own_order,
    keep,
    label_columns,
    main_state,
    pass_on,
    segment_frames,
    take_over,
)
from seqloss.kernels.gpu.text import Text
from seqloss.kernels.gpu.tiles import LONGEST, walks_tile
from seqloss.kernels.gpu.wide import NOTHING, ONE_BITS

PROGRAMS = 264
"""Segments in a wave at the least: some two for each multiprocessor of a large GPU."""
SCRATCH = 1 << 26
"""Bytes of scratch that a wave may take in any case."""
WORDS = 16
"""Bytes of a label and the blank before it."""


@triton.jit
def kept(out, place, count, longest, inside, PARTS: tl.constexpr):
    """States that `sums.keep` stored, zeros where none are."""
    a, a_exponent, b, b_exponent = (), (), (), ()
    for i in tl.static_range(PARTS):
        there = inside & (place + i <= count)
        at = out + place + i
        a = a + (tl.load(at, mask=there, other=0).to(tl.float32, bitcast=True),)
        a_exponent = a_exponent + (tl.load(at + (longest + 1), mask=there, other=NOTHING),)
        b = b + (tl.load(at + 2 * (longest + 1), mask=there, other=0).to(tl.float32, bitcast=True),)
        b_exponent = b_exponent + (tl.load(at + 3 * (longest + 1), mask=there, other=NOTHING),)
    return a, a_exponent, b, b_exponent


@triton.jit
def product(x, x_exponent, y, y_exponent, reference):
    """x y / 2^(32 reference) as a float32, 0 where that is too small for one."""
    half = tl.minimum(tl.maximum(x_exponent + y_exponent - reference, -7), 2) << 27
    factor = (half + ONE_BITS).to(tl.float32, bitcast=True)
    return (x * factor) * (y * factor)


@triton.jit
def meet(at, lines, columns, inside, alive, line, a, a_exponent, b, b_exponent, reference, count, place,
         PARTS: tl.constexpr):  # fmt: skip
    """Backward sums meet a frame's forward sums: the labels' shares are stored, the blanks' are returned."""
    of_blanks = ()
    for i in tl.static_range(PARTS):
        here = inside[i] & alive
        mine = lines + columns[i]
        value = tl.load(mine, mask=here, other=0).to(tl.float32, bitcast=True)
        share = product(value, tl.load(mine + line, mask=here, other=NOTHING), a[i], a_exponent[i], reference)
        tl.store(at + columns[i], share, mask=here)
        here = alive & (place + i <= count)
        value = tl.load(mine + 2 * line + 1, mask=here, other=0).to(tl.float32, bitcast=True)
        exponent = tl.load(mine + 3 * line + 1, mask=here, other=NOTHING)
        share = product(value, exponent, b[i], b_exponent[i], reference)
        of_blanks = of_blanks + (tl.where(here, share, 0.0),)
    return of_blanks


@triton.jit
def _posteriors_kernel(
    label_scores, top, labels, counts, frames, states, spells, references, checkpoints, scratch, edges, blank_shares,
    first_item, items, time, longest, segments, stride,
    MANY: tl.constexpr, ROWS: tl.constexpr, CHUNKS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    LINES: tl.constexpr = ROWS * CHUNKS
    chunk = tl.arange(0, LINES) % CHUNKS
    own = tl.program_id(0) * ROWS + tl.arange(0, LINES) // CHUNKS
    item = own.to(tl.int64) + first_item
    there = item < items
    row = tl.where(there, item // segments, 0)
    segment = tl.where(there, item % segments, 0)
    length = tl.load(frames + row, mask=there, other=0)
    count = tl.load(counts + row, mask=there, other=-1)
    begin = (segment * stride).to(tl.int32)
    end = tl.minimum(begin + stride, length)
    some = there & (begin < end)
    main = some & (tl.load(spells + row, mask=there, other=0) > 0)
    any_main = tl.max(main.to(tl.int32), 0) > 0
    reference = tl.load(references + row, mask=there, other=0)[:, None]
    steps = tl.max(tl.where(some, end - begin, 0), 0)
    most_labels = tl.max(tl.where(some, count, -1), 0)
    lane = tl.arange(0, LANES)[None, :]
    line = longest + 1
    space = scratch + own.to(tl.int64) * stride * (4 * line)
    near = checkpoints + ((row * 2) * segments + segment) * (4 * line)
    far = checkpoints + ((row * 2 + 1) * segments + segment) * (4 * line)
    nowhere = tl.full([LINES, 1], NOWHERE, tl.int32)
    start = 0
    while start <= most_labels:
        place = start + (chunk[:, None] * LANES + lane) * PARTS
        columns, inside, skip = label_columns(labels, row, longest, count, there & (begin < 0), place, some, PARTS)
        a, a_exponent, b, b_exponent = kept(near[:, None], place, count[:, None], longest, some[:, None], PARTS)
        edge = tl.zeros([LINES, 1], tl.float32)
        edge_exponent = tl.full([LINES, 1], NOTHING, tl.int32)
        if MANY:
            if start > 0:
                edge, edge_exponent = stored_label(near + start - 1, line, some)
        at = row * time + begin
        out = space
        u = 0
        while u < steps:
            alive = begin + u < end
            scores, blank, largest = emissions(label_scores, top, at, columns, inside, alive, longest, PARTS)
            p, p_exponent = weights(scores, (largest,), PARTS, PARTS)
            q, q_exponent = weights((blank,), (largest,), 1, 1)
            a, a_exponent, b, b_exponent, _a, _ae, _b, _be = step(
                a, a_exponent, b, b_exponent, edge, edge_exponent, p, p_exponent, q[0], q_exponent[0], nowhere,
                nowhere, False, skip, place, lane, LINES, LANES, PARTS, CHUNKS,
            )  # fmt: skip
            keep(out[:, None], place, count[:, None], longest, alive[:, None], a, a_exponent, b, b_exponent, PARTS)
            if MANY:
                if start > 0:
                    edge, edge_exponent = stored_label(out + start - 1, line, alive)
            at += 1
            out += 4 * line
            u += 1
        if MANY:
            tl.debug_barrier()
        start += CHUNKS * LANES * PARTS
    tl.debug_barrier()
    even = edges + own.to(tl.int64) * (4 * stride)
    odd = even + 2 * stride
    start = 0
    while start <= most_labels:
        place = start + (chunk[:, None] * LANES + lane) * PARTS
        columns, inside, skip = label_columns(labels, row, longest, count, there & (begin >= 0), place, some, PARTS)
        a, a_exponent, b, b_exponent = kept(far[:, None], place, count[:, None], longest, some[:, None], PARTS)
        edge = tl.zeros([LINES, 1], tl.float32)
        edge_exponent = tl.full([LINES, 1], NOTHING, tl.int32)
        frame = end - 1
        at = row * time + frame
        out = space + (frame - begin).to(tl.int64) * (4 * line)
        state = main_state(states, row, time, end, main, end < length)
        state = in_own_order(state, count, main, end < length)[:, None]
        u = 0
        while u < steps:
            alive = frame >= begin
            scores, blank, largest = emissions(label_scores, top, at, columns, inside, alive, longest, PARTS)
            if MANY:
                pass_on(even, u, lane, alive & (chunk == CHUNKS - 1), a, a_exponent, LANES, PARTS)
                if start > 0:
                    edge, edge_exponent = take_over(odd, u, alive)
            next_state = main_state(states, row, time, frame, main, alive)
            next_state = in_own_order(next_state, count, main, alive)[:, None]
            p, p_exponent = weights(scores, (largest,), PARTS, PARTS)
            q, q_exponent = weights((blank,), (largest,), 1, 1)
            a, a_exponent, b, b_exponent, all_a, all_a_exponent, all_b, all_b_exponent = step(
                a, a_exponent, b, b_exponent, edge, edge_exponent, p, p_exponent, q[0], q_exponent[0], state,
                next_state, any_main, skip, place, lane, LINES, LANES, PARTS, CHUNKS,
            )  # fmt: skip
            of_blanks = meet(
                (label_scores + at * line)[:, None], out[:, None], columns, inside, alive[:, None], line,
                all_a, all_a_exponent, all_b, all_b_exponent, reference, count[:, None], place, PARTS,
            )  # fmt: skip
            share = pairwise_over_parts(of_blanks, LINES, LANES, PARTS)
            total = blank_shares + at
            if CHUNKS > 1:
                share = tl.broadcast_to(
                    pairwise(tl.reshape(share, [ROWS, CHUNKS]), ROWS, CHUNKS)[:, None], [ROWS, CHUNKS]
                )
                share = tl.reshape(share, [LINES])
            if MANY:
                if start > 0:
                    share += tl.load(total, mask=alive & (chunk == 0), other=0.0)
            tl.store(total, share, mask=alive & (chunk == 0))
            at -= 1
            out -= 4 * line
            frame -= 1
            state = next_state
            u += 1
        if MANY:
            even, odd = odd, even
            tl.debug_barrier()
        start += CHUNKS * LANES * PARTS


@triton.jit
def stored_label(at, line, alive):
    """A label that `sums.keep` stored, (lines, 1)."""
    value = tl.load(at, mask=alive, other=0).to(tl.float32, bitcast=True)
    return value[:, None], tl.load(at + line, mask=alive, other=NOTHING)[:, None]


def wave(batch: int, time: int, labels: int) -> int:
    """How many segments are walked through at once."""
    items = batch * -(-time // segment_frames(time))
    fits = SCRATCH // (segment_frames(time) * (labels + 1) * WORDS)
    return max(1, min(items, max(PROGRAMS, fits)))


def stored_bytes(batch: int, time: int, labels: int) -> int:
    """What is stored of the path sums, beside the scores of the labels themselves."""
    stride = segment_frames(time)
    segments, at_once = -(-time // stride), wave(batch, time, labels) * stride
    edges = WORDS * (2 * batch * time + at_once) if labels + 1 > LONGEST else 0
    return WORDS * (labels + 1) * (2 * batch * segments + at_once) + edges


def find_shares(frames: Frames, text: Text, main: MainPath, sums: Sums, references: torch.Tensor) -> torch.Tensor:
    """Turn `frames.scores` into shares by label, in place, for rows with a path.

    Args:
        references: int32 (batch,), the exponent of each row's sum over all paths.

    Returns:
        the blanks' share of each frame, float32 (batch, time).
    """
    assert frames.scores is not None
    assert sums.checkpoints is not None
    batch, time = frames.best.shape
    longest, device = text.labels.shape[1], frames.best.device
    blank_shares = torch.empty((batch, time), dtype=torch.float32, device=device)
    segments = sums.checkpoints.shape[2]
    items, at_once = batch * segments, wave(batch, time, longest)
    tile = walks_tile(device, at_once, longest)
    many = longest + 1 > tile.columns
    if not items:
        return blank_shares
    scratch = torch.empty((at_once, sums.stride, 4, longest + 1), dtype=torch.int32, device=device)
    edges = torch.empty((at_once, 2, sums.stride if many else 0, 2), dtype=torch.int32, device=device)
    for first in range(0, items, at_once):
        _posteriors_kernel[(triton.cdiv(at_once, tile.rows),)](
            frames.scores, frames.top, text.labels, text.counts, main.walked, main.states, main.spells, references,
            sums.checkpoints, scratch, edges, blank_shares, first, min(items, first + at_once), time, longest,
            segments, sums.stride,
            MANY=many, ROWS=tile.rows, CHUNKS=tile.chunks, LANES=tile.lanes, PARTS=tile.parts, **tile.options,
        )  # fmt: skip
    return blank_shares
