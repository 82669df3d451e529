"""Posteriors by label: each segment of frames is walked through again, from the states kept on both sides of it.

Forward first, each frame's sums into scratch; then backward, and each backward sum, its frame's emission left out, meets the
forward sum of its state, emission included:

    share[t, s] = alpha_t(s) * beta_t(s) / 2^(32 k),        k of the row, so that a frame's shares add up to some 1 to 2^32

A label's share takes the place of its distance, which nobody reads again; the blanks' are added up, in pairs. All segments of a
wave are independent programs: beside the walks, which wait for their own last frame, they are short. Walking again
costs about

    (batch * ceil(time / stride) / programs that run at once) * 2 stride frames.

Scratch holds a wave's states, and waves are as large as what stands in `PROGRAMS` and `SCRATCH` allows; so with `sums.py`

    stored bytes = 16 (labels + 1) * (2 batch * segments + wave * stride),    segments and stride some sqrt(time).
"""

import torch
import triton
import triton.language as tl

from seqloss.kernels.gpu.frames import Frames
from seqloss.kernels.gpu.main_path import MainPath
from seqloss.kernels.gpu.pairs import pairwise
from seqloss.kernels.gpu.step import NOWHERE, emissions, step
from seqloss.kernels.gpu.sums import Sums, keep, main_state, segment_frames, skips
from seqloss.kernels.gpu.text import Text
from seqloss.kernels.gpu.tiles import walks_tile
from seqloss.kernels.gpu.wide import NOTHING, ONE_BITS

PROGRAMS = 264
"""Segments in a wave at the least: some two for each multiprocessor of a large GPU."""
SCRATCH = 1 << 26
"""Bytes of scratch that a wave may take in any case."""
WORDS = 16
"""Bytes of a label and the blank before it."""


@triton.jit
def kept(out, place, longest, inside):
    """States that `sums.keep` stored."""
    a = tl.load(out + place, mask=inside, other=0).to(tl.float32, bitcast=True)
    a_exponent = tl.load(out + (longest + 1) + place, mask=inside, other=NOTHING)
    b = tl.load(out + 2 * (longest + 1) + place, mask=inside, other=0).to(tl.float32, bitcast=True)
    b_exponent = tl.load(out + 3 * (longest + 1) + place, mask=inside, other=NOTHING)
    return a, a_exponent, b, b_exponent


@triton.jit
def product(x, x_exponent, y, y_exponent, reference):
    """x y / 2^(32 reference) as a float32, 0 where that is too small for one."""
    half = tl.minimum(tl.maximum(x_exponent + y_exponent - reference, -7), 2) << 27
    factor = (half + ONE_BITS).to(tl.float32, bitcast=True)
    return (x * factor) * (y * factor)


@triton.jit
def _posteriors_kernel(
    distances, labels, counts, frames, states, spells, references, checkpoints, scratch, edges, blank_shares,
    first_item, items, time, longest, segments, stride,
    MANY: tl.constexpr, ROWS: tl.constexpr, LABELS: tl.constexpr, LOG2_LABELS: tl.constexpr,
):  # fmt: skip
    own = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    item = first_item.to(tl.int64) + own
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
    column = tl.arange(0, LABELS)[None, :]
    line = longest + 1
    space = own.to(tl.int64) * stride * (4 * line)
    nowhere = tl.full([ROWS, 1], NOWHERE, tl.int32)
    start = 0
    while start <= most_labels:
        place = start + column
        inside = (place < count[:, None]) & some[:, None]
        reads = some[:, None] & (place <= count[:, None])
        skip = skips(labels, row[:, None], longest, count[:, None], place, (begin < 0)[:, None])
        near = checkpoints + ((row * 2) * segments + segment) * (4 * line)
        a, a_exponent, b, b_exponent = kept(near[:, None], place, longest, reads)
        edge = tl.zeros([ROWS, 1], tl.float32)
        edge_exponent = tl.full([ROWS, 1], NOTHING, tl.int32)
        if MANY and start > 0:
            edge = tl.load(near + start - 1, mask=some, other=0).to(tl.float32, bitcast=True)[:, None]
            edge_exponent = tl.load(near + line + start - 1, mask=some, other=NOTHING)[:, None]
        last = (row * time + begin) * line + longest
        at = (last - longest)[:, None] + place
        u = 0
        while u < steps:
            alive = begin + u < end
            scores, blank = emissions(distances, at, inside, alive, last)
            a, a_exponent, b, b_exponent, _a, _ae, _b, _be = step(
                a, a_exponent, b, b_exponent, edge, edge_exponent, scores, blank, nowhere, nowhere, False, skip,
                place, column,
            )  # fmt: skip
            out = scratch + space + u.to(tl.int64) * (4 * line)
            keep(out[:, None], place, longest, reads & alive[:, None], a, a_exponent, b, b_exponent)
            if MANY and start > 0:
                edge = tl.load(out + start - 1, mask=alive, other=0).to(tl.float32, bitcast=True)[:, None]
                edge_exponent = tl.load(out + line + start - 1, mask=alive, other=NOTHING)[:, None]
            at += line
            last += line
            u += 1
        if MANY:
            tl.debug_barrier()
        start += LABELS
    tl.debug_barrier()
    start = 0
    while start <= most_labels:
        place = start + column
        inside = (place < count[:, None]) & some[:, None]
        reads = some[:, None] & (place <= count[:, None])
        skip = skips(labels, row[:, None], longest, count[:, None], place, (begin >= 0)[:, None])
        far = checkpoints + ((row * 2 + 1) * segments + segment) * (4 * line)
        a, a_exponent, b, b_exponent = kept(far[:, None], place, longest, reads)
        edge = tl.zeros([ROWS, 1], tl.float32)
        edge_exponent = tl.full([ROWS, 1], NOTHING, tl.int32)
        frame = end - 1
        last = (row * time + frame) * line + longest
        at = (last - longest)[:, None] + (count[:, None] - 1 - place)
        state = main_state(states, row, time, end, count, main, end < length)[:, None]
        u = 0
        while u < steps:
            alive = frame >= begin
            scores, blank = emissions(distances, at, inside, alive, last)
            if MANY:
                corner = edges + ((start // LABELS) % 2) * (stride * 2) + own.to(tl.int64) * (stride * 4) + 2 * u
                other = edges + ((start // LABELS + 1) % 2) * (stride * 2) + own.to(tl.int64) * (stride * 4) + 2 * u
                whole = alive[:, None] & (column == LABELS - 1)
                tl.store(corner[:, None] + 0 * column, a.to(tl.int32, bitcast=True), mask=whole)
                tl.store(corner[:, None] + 0 * column + 1, a_exponent, mask=whole)
                if start > 0:
                    edge = tl.load(other, mask=alive, other=0).to(tl.float32, bitcast=True)[:, None]
                    edge_exponent = tl.load(other + 1, mask=alive, other=NOTHING)[:, None]
            next_state = main_state(states, row, time, frame, count, main, alive)[:, None]
            a, a_exponent, b, b_exponent, all_a, all_a_exponent, all_b, all_b_exponent = step(
                a, a_exponent, b, b_exponent, edge, edge_exponent, scores, blank, state, next_state, any_main, skip,
                place, column,
            )  # fmt: skip
            lines = scratch + (space + (frame - begin).to(tl.int64) * (4 * line))[:, None]
            ours = lines + (count[:, None] - 1 - place)
            now = alive[:, None]
            value = tl.load(ours, mask=inside & now, other=0).to(tl.float32, bitcast=True)
            exponent = tl.load(ours + line, mask=inside & now, other=NOTHING)
            share = product(value, exponent, all_a, all_a_exponent, reference)
            tl.store(distances + at, share, mask=inside & now)
            value = tl.load(ours + 2 * line + 1, mask=reads & now, other=0).to(tl.float32, bitcast=True)
            exponent = tl.load(ours + 3 * line + 1, mask=reads & now, other=NOTHING)
            share = product(value, exponent, all_b, all_b_exponent, reference)
            share = pairwise(tl.where(reads & now, share, 0.0), ROWS, LABELS, LOG2_LABELS)
            total = blank_shares + row * time + frame
            if MANY and start > 0:
                share += tl.load(total, mask=alive, other=0.0)
            tl.store(total, share, mask=alive)
            at -= line
            last -= line
            frame -= 1
            state = next_state
            u += 1
        if MANY:
            tl.debug_barrier()
        start += LABELS


def wave(batch: int, time: int, labels: int) -> int:
    """How many segments are walked through at once."""
    items = batch * -(-time // segment_frames(time))
    fits = SCRATCH // (segment_frames(time) * (labels + 1) * WORDS)
    return max(1, min(items, max(PROGRAMS, fits)))


def stored_bytes(batch: int, time: int, labels: int) -> int:
    """What is stored of the path sums at most, beside the scores of the labels themselves."""
    stride = segment_frames(time)
    segments = -(-time // stride)
    return WORDS * (labels + 1) * (2 * batch * segments + wave(batch, time, labels) * stride)


def find_shares(frames: Frames, text: Text, main: MainPath, sums: Sums, references: torch.Tensor) -> torch.Tensor:
    """Turn `frames.distances` into shares by label, in place, for rows with a path.

    Args:
        references: int32 (batch,), the exponent of each row's sum over all paths.

    Returns:
        the blanks' share of each frame, float32 (batch, time).
    """
    assert frames.distances is not None
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
    edges = torch.empty((at_once, 2, sums.stride, 2), dtype=torch.int32, device=device) if many else None
    for first in range(0, items, at_once):
        _posteriors_kernel[(triton.cdiv(at_once, tile.rows),)](
            frames.distances, text.labels, text.counts, main.walked, main.states, main.spells, references,
            sums.checkpoints, scratch, edges, blank_shares, first, min(items, first + at_once), time, longest,
            segments, sums.stride, MANY=many, ROWS=tile.rows, LABELS=tile.columns,
            LOG2_LABELS=tile.columns.bit_length() - 1, **tile.options,
        )  # fmt: skip
    return blank_shares
