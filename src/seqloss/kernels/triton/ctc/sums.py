"""The sums over paths: a forward pass (α) and a backward pass (β) over each row, concurrently.

A pass (`walk` in the code) keeps a block of states in registers and processes one frame after another, while the
emissions of later frames are loaded. If targets are short, several passes share a program, so that a warp is full. Rows
are sorted by length, longest first, so that passes of similar length share a program.

If a target is longer than a block, several programs compute the pass concurrently, one per block. In each frame, a
block stores its last label. Every `HANDED` frames it signals the number of finished frames (`signal_frames_done`), and
the program of the next block waits for that (`wait_for_frames`). Programs take their numbers as they start, first
blocks first, and each waits for a lower number only. So there is always a running program that need not wait, even if
few programs run at once.

For the posteriors, the states of every `stride`-th frame are stored as packed extended-exponent numbers:

    2 passes * batch * ceil(time / stride) * (labels + 1) * 16 bytes,        stride = ceil(sqrt(time)).

`posteriors.py` recomputes the frames between them. The last states of a pass give the sum over all paths. The loss
alone needs the backward pass only, and stores no states.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.frames import Frames
from seqloss.kernels.triton.ctc.main_path import MainPath
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets
from seqloss.kernels.triton.ctc.step import NOWHERE, load_emissions, step_frame
from seqloss.kernels.triton.extended_exponent import PACKED_ZERO, ZERO_EXPONENT, indicator, pack, unpack
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.tiles import cdiv, walks_tile

HANDED = 32
"""Frames between two signals of a block."""
CLEARED = 256
"""Counters that a program sets to 0."""


class Sums(NamedTuple):
    """The result of both passes.

    Attributes:
        ends: int32 (batch, 4), the last states of the backward pass: bits of the value and exponent of the last label,
            then of the last blank. Without the main path in rows whose main path spells the target.
        checkpoints: int64 (batch, 2, segments, 2, labels + 1), packed states of labels and blanks: forward those before
            the first frame of each segment, backward those after its last. None for a loss alone.
        stride: frames of a segment.
    """

    ends: torch.Tensor
    checkpoints: torch.Tensor | None
    stride: int


@triton.jit
def row_of_each_line(program, ROWS: tl.constexpr, CHUNKS: tl.constexpr):
    """The number of each line's row among the rows of all programs: (lines, 1), or a scalar if ROWS is 1."""
    number = program
    if ROWS > 1:
        number = (number * ROWS + tl.arange(0, ROWS * CHUNKS) // CHUNKS)[:, None]
    return number


@triton.jit
def max_over_lines(x, ROWS: tl.constexpr):
    """The largest value of all lines, a scalar."""
    if ROWS > 1:
        x = tl.max(x)
    return x


@triton.jit
def first_columns(start, chunk, lane, LANES: tl.constexpr, PARTS: tl.constexpr):
    """The first column of each lane of a block that begins at column `start`, (lines, lanes)."""
    return start + (chunk * LANES + lane) * PARTS


@triton.jit
def load_label_columns(labels, row, longest, count, backward, place, there, PARTS: tl.constexpr):
    """The labels of a block in the order of its pass, as tuples of tensors (lines, lanes).

    Returns:
        the number of each column's label; whether it exists; whether it may follow the one before without a blank.
    """
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
def load_main_state(states, at, place, blanks, main):
    """Load the state of the main path in a frame, in the order of a forward pass, in each lane of `blanks`."""
    at = tl.max_contiguous(states + at + tl.where(blanks, 0, place), [1, 2])
    return tl.load(at, mask=blanks & main, other=0)


@triton.jit
def state_in_walk_order(state, count, main, known):
    """The main path's state in the order of a backward pass; NOWHERE in passes without a main path."""
    return tl.where(main, tl.where(known, 2 * count - state, 0), NOWHERE)


@triton.jit
def prefetch_frames(
    emissions, states, edges, row, time, frame, u, pace, left, columns, inside, blanks, main, enters, longest,
    MANY: tl.constexpr, PARTS: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    """Load the data of the next TOGETHER frames, of which `left` exist, in one group.

    Returns:
        emissions of labels, frame by frame; emissions of blanks; states of the main path; with `MANY`, the last label
        of the block before in each frame.
    """
    labels, of_blank, main_states, entering = (), (), (), ()
    for j in tl.static_range(TOGETHER):
        now, alive = frame + j * pace, left > j
        some, blank = load_emissions(emissions, row * time + now, columns, inside, blanks, alive, longest, PARTS)
        labels, of_blank = labels + some, of_blank + (blank,)
        main_states = main_states + (load_main_state(states, row * time + now, columns[0], blanks, main & alive),)
        if MANY:
            entering = entering + (load_edge(edges + (u + j), enters & alive, columns[0]),)
    return labels, of_blank, main_states, entering


@triton.jit
def labels_of_frame(labels, j: tl.constexpr, PARTS: tl.constexpr):
    """The label emissions of frame j, of those that `prefetch_frames` loaded."""
    found = ()
    for i in tl.static_range(PARTS):
        found = found + (labels[j * PARTS + i],)
    return found


@triton.jit
def zero_states(LINES: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr):
    """Zero in each column, as tuples of values and of exponents."""
    value, exponent = (), ()
    for _ in tl.static_range(PARTS):
        value = value + (tl.zeros([LINES, LANES], tl.float32),)
        exponent = exponent + (tl.full([LINES, LANES], ZERO_EXPONENT, tl.int32),)
    return value, exponent


@triton.jit
def start_states(begins, place, PARTS: tl.constexpr):
    """1 on the first blank, 0 on the others; 0 everywhere where `begins` is false."""
    value, exponent = (), ()
    for i in tl.static_range(PARTS):
        one, one_exponent = indicator((place + i == 0) & begins)
        value, exponent = value + (one,), exponent + (one_exponent,)
    return value, exponent


@triton.jit
def store_states(out, place, count, longest, kept, a, a_exponent, b, b_exponent, PARTS: tl.constexpr):
    """Store states as packed extended-exponent numbers: labels, then blanks, `longest` + 1 each."""
    for i in tl.static_range(PARTS):
        inside = kept & (place + i <= count)
        at = tl.max_contiguous(out + (place + i), [1, 2])
        tl.store(at, pack(a[i], a_exponent[i]), mask=inside)
        tl.store(at + (longest + 1), pack(b[i], b_exponent[i]), mask=inside)


@triton.jit
def store_edge(edges, frame, place, last, a, a_exponent, PARTS: tl.constexpr):
    """Store the last label of the block, in lane `last`, for the program of the next block."""
    at = tl.max_contiguous(edges + frame + tl.where(last, 0, place), [1, 2])
    tl.store(at, pack(a[PARTS - 1], a_exponent[PARTS - 1]), mask=last)


@triton.jit
def load_edge(edge, enters, place):
    """Load the label before the block, packed, in each lane of `enters`; zero elsewhere."""
    at = tl.max_contiguous(edge + tl.where(enters, 0, place), [1, 2])
    return tl.load(at, mask=enters, other=PACKED_ZERO)


@triton.jit
def signal_frames_done(done, frames):
    """Signal the program of the next block that the edges of `frames` frames are stored.

    One lane stored them, another one signals: the barrier orders the stores before the release.
    """
    tl.debug_barrier()
    tl.atomic_xchg(done, frames, sem="release")


@triton.jit
def wait_for_frames(done, frames):
    """Wait until the program of the block before has stored the edges of `frames` frames; acquires its stores."""
    while tl.atomic_add(done, 0, sem="acquire") < frames:
        pass


@triton.jit
def update_where_alive(alive, new, old, PARTS: tl.constexpr):
    """`new` where the pass has not ended, else `old`."""
    chosen = ()
    for i in tl.static_range(PARTS):
        chosen = chosen + (tl.where(alive, new[i], old[i]),)
    return chosen


@triton.jit
def _clear_kernel(done, count, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(done + place, 0, mask=place < count)


@triton.jit
def _sums_kernel(
    emissions, labels, counts, frames, states, spells, order, ends, edges, done, checkpoints,
    walks, time, longest, segments, stride,
    WAYS: tl.constexpr, KEEP: tl.constexpr, MANY: tl.constexpr,
    ROWS: tl.constexpr, CHUNKS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr, TOGETHER: tl.constexpr,
    HANDED: tl.constexpr,
):  # fmt: skip
    # 1. which passes: with several blocks, programs take numbers as they start; `done` then points to the own counter
    LINES: tl.constexpr = ROWS * CHUNKS
    chunk = (tl.arange(0, LINES) % CHUNKS)[:, None]
    lane = tl.arange(0, LANES)[None, :]
    program, block = tl.program_id(0), 0
    of_block = tl.cdiv(walks, ROWS)
    if MANY:
        started = tl.atomic_add(done, 1)
        done += 1 + started
        program, block = started % of_block, started // of_block
    # 2. values per line, (lines, 1) or scalars: the row of the pass, its length, its labels
    walk = row_of_each_line(program, ROWS, CHUNKS)
    there = walk < walks
    row = tl.load(order + walk // WAYS, mask=there, other=0).to(tl.int64)
    backward = walk % WAYS == 0
    length = tl.load(frames + row, mask=there, other=0)
    count = tl.load(counts + row, mask=there, other=-1)
    main = backward & there & (tl.load(spells + row, mask=there, other=0) > 0)
    any_main = max_over_lines(main.to(tl.int32), ROWS) > 0
    most_frames = max_over_lines(length, ROWS)
    line = longest + 1
    pace = tl.where(backward, -1, 1)
    own_edges, edges_before = edges, edges
    if MANY:
        own_edges = edges + (block.to(tl.int64) * walks + walk) * time
        edges_before = edges + ((block.to(tl.int64) - 1) * walks + walk) * time
    # 3. blocks past the row's last column return
    start = block * (CHUNKS * LANES * PARTS)
    if start <= max_over_lines(count, ROWS):
        place = first_columns(start, chunk, lane, LANES, PARTS)
        ends_block = (chunk == CHUNKS - 1) & (lane == LANES - 1)
        columns, inside, skip = load_label_columns(labels, row, longest, count, backward, place, there, PARTS)
        blanks, enters = there & (place <= count), (place == start) & (block > 0)
        # 4. before the first frame: 1 on the first blank, unless that is the main path, which is excluded
        a, a_exponent = zero_states(LINES, LANES, PARTS)
        b, b_exponent = start_states(there & (main == 0), place, PARTS)
        frame = tl.where(backward, length - 1, 0)
        state = tl.where(main & blanks, 0, NOWHERE)
        # 5. checkpoints: forward before frames 0, stride, 2 stride, ...; backward after the last frame of each segment,
        #    so that the first gap is the length of the last segment
        gap = tl.where(backward, (length - 1) % stride + 1, stride)
        border = 0 * gap
        # 6. the first group of frames
        if MANY:
            if block > 0:
                wait_for_frames(done - of_block, tl.minimum(TOGETHER, most_frames))
        ps, qs, main_states, entering = prefetch_frames(
            emissions, states, edges_before, row, time, frame, 0, pace, length, columns, inside, blanks, main, enters,
            longest, MANY, PARTS, TOGETHER,
        )  # fmt: skip
        # 7. rounds of HANDED frames, each of groups of TOGETHER frames; with one block, one round of all frames
        u = 0
        while u < most_frames:
            until = most_frames
            if MANY:
                until = tl.minimum(u + HANDED, most_frames)
                signal_frames_done(done, u)
                if block > 0:
                    wait_for_frames(done - of_block, tl.minimum(until + TOGETHER, most_frames))
            while u < until:
                # 8. load the next group while this one is computed
                next_ps, next_qs, next_main_states, next_entering = prefetch_frames(
                    emissions, states, edges_before, row, time, frame + TOGETHER * pace, u + TOGETHER, pace,
                    length - (u + TOGETHER), columns, inside, blanks, main, enters, longest, MANY, PARTS, TOGETHER,
                )  # fmt: skip
                for j in tl.static_range(TOGETHER):
                    alive = u + j < length
                    # 9. store the states before the frame where a segment begins
                    if KEEP:
                        here = u + j == border
                        kept = alive & here
                        if max_over_lines(kept.to(tl.int32), ROWS) > 0:
                            segment = (row * 2 + backward.to(tl.int64)) * segments + frame // stride
                            out = checkpoints + segment * (2 * line)
                            store_states(out, place, count, longest, kept, a, a_exponent, b, b_exponent, PARTS)
                            border = tl.where(here, border + gap, border)
                            gap = tl.where(here, stride, gap)
                    # 10. exchange edges with the neighbouring blocks
                    edge, edge_exponent = 0.0 * frame, 0 * frame + ZERO_EXPONENT
                    if MANY:
                        store_edge(own_edges, u + j, place, alive & ends_block, a, a_exponent, PARTS)
                        edge, edge_exponent = unpack(entering[j])
                    # 11. one step; passes that have ended keep their states
                    next_state = state_in_walk_order(main_states[j], count, main, alive)
                    new_a, new_a_exponent, new_b, new_b_exponent, _a, _ae, _b, _be = step_frame(
                        a, a_exponent, b, b_exponent, edge, edge_exponent, labels_of_frame(ps, j, PARTS), qs[j], state,
                        next_state, any_main, skip, place, lane, LINES, LANES, PARTS, CHUNKS,
                    )  # fmt: skip
                    a, a_exponent = (
                        update_where_alive(alive, new_a, a, PARTS),
                        update_where_alive(alive, new_a_exponent, a_exponent, PARTS),
                    )
                    b, b_exponent = (
                        update_where_alive(alive, new_b, b, PARTS),
                        update_where_alive(alive, new_b_exponent, b_exponent, PARTS),
                    )
                    state = next_state
                    frame += pace
                ps, qs, main_states, entering = next_ps, next_qs, next_main_states, next_entering
                u += TOGETHER
        # 12. the end: the last label and the last blank of backward passes
        if MANY:
            signal_frames_done(done, most_frames)
        ours = backward & there
        final = ends + row * 4 + 0 * place
        for i in tl.static_range(PARTS):
            on_label, on_blank = ours & (place + i == count - 1), ours & (place + i == count)
            tl.store(final, a[i].to(tl.int32, bitcast=True), mask=on_label)
            tl.store(final + 1, a_exponent[i], mask=on_label)
            tl.store(final + 2, b[i].to(tl.int32, bitcast=True), mask=on_blank)
            tl.store(final + 3, b_exponent[i], mask=on_blank)
        # an empty target has no label: zero
        empty = ours & (place == 0) & (count == 0)
        tl.store(final, 0 * place, mask=empty)
        tl.store(final + 1, 0 * place + ZERO_EXPONENT, mask=empty)


def segment_frames(time: int) -> int:
    """Frames between two stored states: the stride."""
    return max(1, math.isqrt(max(0, time - 1)) + 1)


def sum_paths(frames: Frames, prepared: PreparedTargets, main: MainPath, *, keep_states: bool) -> Sums:
    """Run the backward pass over every row and, with `keep_states`, the forward pass; both store checkpoints then."""
    assert frames.emissions is not None
    batch, time = frames.best.shape
    longest = prepared.labels.shape[1]
    new = {"dtype": torch.int32, "device": frames.best.device}
    stride = segment_frames(time)
    segments, ways = -(-time // stride), 2 if keep_states else 1
    walks = ways * batch
    tile = walks_tile(frames.best.device, walks, longest)
    blocks = cdiv(longest + 1, tile.columns)
    programs, many = cdiv(walks, tile.rows), blocks > 1
    ends = torch.empty((batch, 4), **new)
    wide = {"dtype": torch.int64, "device": frames.best.device}
    checkpoints = torch.empty((batch, 2, segments, 2, longest + 1), **wide) if keep_states else None
    edges = torch.empty((blocks, walks, time), **wide) if many else None
    done = torch.empty(1 + blocks * programs, **new) if many else None
    if done is not None and batch:
        launch_kernel(_clear_kernel, cdiv(len(done), CLEARED), done, len(done), BLOCK=CLEARED)
    if batch:
        launch_kernel(
            _sums_kernel, blocks * programs,
            frames.emissions, prepared.labels, prepared.counts, main.walked, main.states, main.spells, prepared.order,
            ends, edges, done, checkpoints, walks, time, longest, segments, stride,
            WAYS=ways, KEEP=keep_states, MANY=many, ROWS=tile.rows, CHUNKS=tile.chunks, LANES=tile.lanes,
            PARTS=tile.parts, TOGETHER=tile.together, HANDED=HANDED, warps=tile.warps,
        )  # fmt: skip
    return Sums(ends, checkpoints, stride)
