"""Posteriors by label: each segment of frames is recomputed from the states stored at both of its ends.

The forward pass stores the sums of each frame in scratch. Then the backward pass multiplies each backward sum, without
the emission of its frame, by the forward sum of the same state, with the emission:

    share[t, s] = α_t(s) * β_t(s) / 2^(32 k),    k per row, so that the shares of a frame add up to between 1 and 2^32

The shares of the blanks are added pairwise, within a warp. The segments of a wave are independent programs.
They are short compared with the passes of `sums.py`, which are sequential over all frames. They take about

    (batch * ceil(time / stride) / programs that run at once) * 2 stride frames.

Scratch holds the states of a wave; the size of a wave is limited by `tiles.FEW` and `SCRATCH`. Together with `sums.py`,

    stored bytes = 16 (labels + 1) * (2 batch * segments + wave * stride),    segments and stride about sqrt(time),

and the edges of the blocks of long targets: 16 blocks * batch * time if the passes of `sums.py` have several blocks,
16 wave * stride if the passes over segments have.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.frames import Frames
from seqloss.kernels.triton.ctc.main_path import MainPath
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets
from seqloss.kernels.triton.ctc.step import NOWHERE, load_emissions, step_frame
from seqloss.kernels.triton.ctc.sums import (
    Sums,
    first_columns,
    load_edge,
    load_label_columns,
    load_main_state,
    max_over_lines,
    row_of_each_line,
    segment_frames,
    state_in_walk_order,
    store_edge,
    store_states,
)
from seqloss.kernels.triton.extended_exponent import ONE_BITS, PACKED_ZERO, ZERO_EXPONENT, unpack
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.pairs import sum_lanes_pairwise, sum_parts_pairwise
from seqloss.kernels.triton.tiles import FEW, cdiv, segments_tile, walks_tile

SCRATCH = 1 << 26
"""Bytes of scratch that a wave may always take."""
WORDS = 16
"""Bytes of a label and the blank before it."""


@triton.jit
def load_states(out, place, count, longest, inside, PARTS: tl.constexpr):
    """Load states that `sums.store_states` stored; zeros where there are none."""
    a, a_exponent, b, b_exponent = (), (), (), ()
    for i in tl.static_range(PARTS):
        there = inside & (place + i <= count)
        at = tl.max_contiguous(out + (place + i), [1, 2])
        value, exponent = unpack(tl.load(at, mask=there, other=PACKED_ZERO))
        a, a_exponent = a + (value,), a_exponent + (exponent,)
        value, exponent = unpack(tl.load(at + (longest + 1), mask=there, other=PACKED_ZERO))
        b, b_exponent = b + (value,), b_exponent + (exponent,)
    return a, a_exponent, b, b_exponent


@triton.jit
def scaled_product(x, x_exponent, y, y_exponent, reference):
    """x y / 2^(32 reference) as a float32, 0 where that is too small.

    Half of the power of two goes to each factor, so that neither overflows.
    """
    half = tl.minimum(tl.maximum(x_exponent + y_exponent - reference, -7), 2) << 27
    factor = (half + ONE_BITS).to(tl.float32, bitcast=True)
    return (x * factor) * (y * factor)


@triton.jit
def load_forward_sums(lines, columns, inside, alive, line, count, place, PARTS: tl.constexpr):
    """Load a frame's forward sums in the order of the backward pass.

    A blank before a label in the backward order is the one after it in the forward order, one place further.
    """
    a, a_exponent, b, b_exponent = (), (), (), ()
    for i in tl.static_range(PARTS):
        mine = tl.max_contiguous(lines + columns[i], [1, 2])
        value, exponent = unpack(tl.load(mine, mask=inside[i] & alive, other=PACKED_ZERO))
        a, a_exponent = a + (value,), a_exponent + (exponent,)
        value, exponent = unpack(tl.load(mine + line + 1, mask=alive & (place + i <= count), other=PACKED_ZERO))
        b, b_exponent = b + (value,), b_exponent + (exponent,)
    return a, a_exponent, b, b_exponent


@triton.jit
def store_shares(
    at, columns, inside, alive, forward, a, a_exponent, b, b_exponent, reference, count, place, PARTS: tl.constexpr
):  # fmt: skip
    """Multiply backward and forward sums of a frame: stores the labels' shares, returns those of the blanks."""
    of_blanks = ()
    for i in tl.static_range(PARTS):
        share = scaled_product(forward[0][i], forward[1][i], a[i], a_exponent[i], reference)
        tl.store(tl.max_contiguous(at + columns[i], [1, 2]), share, mask=inside[i] & alive)
        share = scaled_product(forward[2][i], forward[3][i], b[i], b_exponent[i], reference)
        of_blanks = of_blanks + (tl.where(alive & (place + i <= count), share, 0.0),)
    return of_blanks


@triton.jit
def _posteriors_kernel(
    emissions, labels, counts, frames, states, spells, references, checkpoints, scratch, edges, shares, blank_shares,
    first_item, items, time, longest, segments, stride, lines,
    MANY: tl.constexpr, ROWS: tl.constexpr, CHUNKS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    # 1. which segment of which row: values per line, (lines, 1) or scalars
    LINES: tl.constexpr = ROWS * CHUNKS
    chunk = (tl.arange(0, LINES) % CHUNKS)[:, None]
    lane = tl.arange(0, LANES)[None, :]
    own = row_of_each_line(tl.program_id(0), ROWS, CHUNKS).to(tl.int64)
    item = own + first_item
    there = item < items
    row = tl.where(there, item // segments, 0)
    segment = tl.where(there, item % segments, 0)
    length = tl.load(frames + row, mask=there, other=0)
    count = tl.load(counts + row, mask=there, other=-1)
    begin = (segment * stride).to(tl.int32)
    end = tl.minimum(begin + stride, length)
    some = there & (begin < end)
    main = some & (tl.load(spells + row, mask=there, other=0) > 0)
    any_main = max_over_lines(main.to(tl.int32), ROWS) > 0
    reference = tl.load(references + row, mask=there, other=0)
    steps = max_over_lines(tl.where(some, end - begin, 0), ROWS)
    most_labels = max_over_lines(tl.where(some, count, -1), ROWS)
    line = longest + 1
    # 2. scratch for the segment's states; the checkpoints before its first frame (near) and after its last (far)
    space = scratch + own * stride * (2 * line)
    near = checkpoints + ((row * 2) * segments + segment) * (2 * line)
    far = checkpoints + ((row * 2 + 1) * segments + segment) * (2 * line)
    nowhere = 0 * begin + NOWHERE
    # 3. forward, block by block of columns: the states of each frame are stored in scratch; a block reads the last
    #    label of the block before from there
    start = 0
    while start <= most_labels:
        place = first_columns(start, chunk, lane, LANES, PARTS)
        columns, inside, skip = load_label_columns(labels, row, longest, count, there & (begin < 0), place, some, PARTS)
        blanks = some & (place <= count)
        a, a_exponent, b, b_exponent = load_states(near, place, count, longest, some, PARTS)
        at = row * time + begin
        out = space
        p, q = load_emissions(emissions, at, columns, inside, blanks, begin < end, longest, PARTS)
        if MANY:
            enters = some & (place == start) & (start > 0)
            entering = load_edge(near + start - 1, enters, place)
        u = 0
        while u < steps:
            alive = begin + u < end
            next_p, next_q = load_emissions(
                emissions, at + 1, columns, inside, blanks, begin + u + 1 < end, longest, PARTS
            )
            edge, edge_exponent = 0.0 * begin, 0 * begin + ZERO_EXPONENT
            if MANY:
                edge, edge_exponent = unpack(entering)
                entering = load_edge(out + start - 1, enters & alive, place)
            a, a_exponent, b, b_exponent, _a, _ae, _b, _be = step_frame(
                a, a_exponent, b, b_exponent, edge, edge_exponent, p, q, nowhere, nowhere, False, skip, place, lane,
                LINES, LANES, PARTS, CHUNKS,
            )  # fmt: skip
            store_states(out, place, count, longest, alive, a, a_exponent, b, b_exponent, PARTS)
            p, q = next_p, next_q
            at += 1
            out += 2 * line
            u += 1
        if MANY:
            tl.debug_barrier()
        start += CHUNKS * LANES * PARTS
    # 4. backward, block by block: edges are written to one of two arrays and read from the other, in turn
    tl.debug_barrier()
    if MANY:
        even = edges + own * (2 * stride)
        odd = even + stride
    start = 0
    while start <= most_labels:
        place = first_columns(start, chunk, lane, LANES, PARTS)
        ends_block = (chunk == CHUNKS - 1) & (lane == LANES - 1)
        columns, inside, skip = load_label_columns(
            labels, row, longest, count, there & (begin >= 0), place, some, PARTS
        )
        blanks = some & (place <= count)
        a, a_exponent, b, b_exponent = load_states(far, place, count, longest, some, PARTS)
        frame = end - 1
        at = row * time + frame
        out = space + (frame - begin).to(tl.int64) * (2 * line)
        # 5. the main path's state after the segment, then in each frame, as in `sums.py`
        state = load_main_state(states, at + 1, place, blanks, main & (end < length))
        state = state_in_walk_order(state, count, main, end < length)
        p, q = load_emissions(emissions, at, columns, inside, blanks, frame >= begin, longest, PARTS)
        main_states = load_main_state(states, at, place, blanks, main & (frame >= begin))
        if MANY:
            enters = some & (place == start) & (start > 0)
            entering = load_edge(odd, enters, place)
        u = 0
        while u < steps:
            alive = frame >= begin
            next_p, next_q = load_emissions(emissions, at - 1, columns, inside, blanks, frame > begin, longest, PARTS)
            next_main_states = load_main_state(states, at - 1, place, blanks, main & (frame > begin))
            forward = load_forward_sums(out, columns, inside, alive, line, count, place, PARTS)
            edge, edge_exponent = 0.0 * begin, 0 * begin + ZERO_EXPONENT
            if MANY:
                store_edge(even, u, place, alive & ends_block, a, a_exponent, PARTS)
                edge, edge_exponent = unpack(entering)
                entering = load_edge(odd + (u + 1), enters & (frame > begin), place)
            next_state = state_in_walk_order(main_states, count, main, alive)
            a, a_exponent, b, b_exponent, all_a, all_a_exponent, all_b, all_b_exponent = step_frame(
                a, a_exponent, b, b_exponent, edge, edge_exponent, p, q, state, next_state, any_main, skip, place, lane,
                LINES, LANES, PARTS, CHUNKS,
            )  # fmt: skip
            # 6. α β: sums with the main path, before the frame's emission, times forward sums
            of_blanks = store_shares(
                shares + at * line, columns, inside, alive, forward, all_a, all_a_exponent, all_b, all_b_exponent,
                reference, count, place, PARTS,
            )  # fmt: skip
            share = sum_lanes_pairwise(sum_parts_pairwise(of_blanks, PARTS), lane, LANES)
            to = tl.max_contiguous(blank_shares + at * lines + place // (LANES * PARTS), [1, 2])
            tl.store(to, share, mask=alive & (lane == 0))
            p, q, main_states = next_p, next_q, next_main_states
            at -= 1
            out -= 2 * line
            frame -= 1
            state = next_state
            u += 1
        if MANY:
            even, odd = odd, even
            tl.debug_barrier()
        start += CHUNKS * LANES * PARTS


def segments_per_wave(batch: int, time: int, labels: int) -> int:
    """Segments that are computed at once: as many as scratch allows, evenly divided among waves."""
    items = batch * -(-time // segment_frames(time))
    fits = SCRATCH // (segment_frames(time) * (labels + 1) * WORDS)
    even = cdiv(items, max(1, cdiv(items, max(1, fits))))
    return max(1, min(items, max(FEW, even)))


def stored_bytes(device: torch.device, batch: int, time: int, labels: int) -> int:
    """Bytes stored for path sums, without the emissions."""
    stride, at_once = segment_frames(time), segments_per_wave(batch, time, labels)
    states = (labels + 1) * (2 * batch * cdiv(time, stride) + at_once * stride)
    blocks = cdiv(labels + 1, walks_tile(device, 2 * batch, labels).columns)
    swept = labels + 1 > segments_tile(device, at_once, labels).columns
    edges = (blocks * batch * time if blocks > 1 else 0) + (at_once * stride if swept else 0)
    return WORDS * (states + edges)


class Shares(NamedTuple):
    """Shares of states in their frames, for rows with a path; the rest is not initialised.

    Attributes:
        labels: float32 (batch, time, labels + 1), the share of each label; the last place is unused.
        blanks: float32 (batch, time, lines), the sum of the blanks' shares of each line of columns of the row.
        columns: columns of a line.
    """

    labels: torch.Tensor
    blanks: torch.Tensor
    columns: int


def find_shares(
    frames: Frames, prepared: PreparedTargets, main: MainPath, sums: Sums, references: torch.Tensor
) -> Shares:
    """Compute the shares of labels and blanks in each frame.

    Args:
        references: int32 (batch,), the exponent k of each row's sum over all paths.
    """
    assert frames.emissions is not None
    assert sums.checkpoints is not None
    batch, time = frames.best.shape
    longest, device = prepared.labels.shape[1], frames.best.device
    segments = sums.checkpoints.shape[2]
    items, at_once = batch * segments, segments_per_wave(batch, time, longest)
    tile = segments_tile(device, at_once, longest)
    many = longest + 1 > tile.columns
    lines = tile.chunks * cdiv(longest + 1, tile.columns)
    shares = torch.empty((batch, time, longest + 1), dtype=torch.float32, device=device)
    blank_shares = torch.empty((batch, time, lines), dtype=torch.float32, device=device)
    found = Shares(shares, blank_shares, tile.lanes * tile.parts)
    if not items:
        return found
    scratch = torch.empty((at_once, sums.stride, 2, longest + 1), dtype=torch.int64, device=device)
    edges = torch.empty((at_once, 2, sums.stride), dtype=torch.int64, device=device) if many else None
    for first in range(0, items, at_once):
        launch_kernel(
            _posteriors_kernel, cdiv(at_once, tile.rows),
            frames.emissions, prepared.labels, prepared.counts, main.walked, main.states, main.spells, references,
            sums.checkpoints, scratch, edges, shares, blank_shares, first, min(items, first + at_once), time, longest,
            segments, sums.stride, lines,
            MANY=many, ROWS=tile.rows, CHUNKS=tile.chunks, LANES=tile.lanes, PARTS=tile.parts, warps=tile.warps,
            registers=tile.registers,
        )  # fmt: skip
    return found
