"""The recursion over maxima instead of sums, for eight labels and up to eight frames at a time.

    β_t(s) = max over the states s' that may follow s of  x_t(s') + β_{t+1}(s')

is the score of the best path from state s to the end; x_t are the scores of frame t. With y(l) = x_t + β_{t+1} of label
l, and z(l) that of the blank before it:

    β_t(blank l) = max(z(l), y(l))
    β_t(label l) = max(y(l), w(l + 1)),  w(l) = max(z(l), y(l) where label l differs from label l - 1)

Only w of the next label is a shifted operand. Therefore eight labels can take several frames in a row while their β
are in registers: all that they need from the labels after them is one w per frame, the carry. The labels are processed
from the last to the first. Every β is one sum and maxima of the same numbers as in a loop over the frames, in any
division into chunks and blocks, so that its bits do not depend on the division.

A chunk of eight labels takes 16 numbers: its labels, then the blanks before them. Label L does not exist. Its blank is
the last blank of the target.
"""

from __future__ import annotations

import numpy as np

from seqloss.kernels.ctc.layout import LANES
from seqloss.kernels.ctc.relative_scores import BLOCK_FRAMES, find_block
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.vectors import full_like, load, load_one, maximum, one_after, store, transpose_rows

CHUNK = 2 * LANES
"""Numbers of a chunk: eight labels and the blanks before them."""

SCRATCH = 2 * BLOCK_FRAMES * LANES
"""float64 numbers of scratch: the carries and the scores of one chunk."""


@inlined
def copy_chunks(source, begin, target, at, count):
    """Copy `count` numbers, in whole vectors."""
    for i in range(0, count, LANES):
        store(target, at + i, load(source, begin + i))


@inlined
def _places(at, slot, l):
    """Where the scores of eight labels are in a table that begins at `at`."""
    return (
        at + load_one(slot, l) * BLOCK_FRAMES,
        at + load_one(slot, l + 1) * BLOCK_FRAMES,
        at + load_one(slot, l + 2) * BLOCK_FRAMES,
        at + load_one(slot, l + 3) * BLOCK_FRAMES,
        at + load_one(slot, l + 4) * BLOCK_FRAMES,
        at + load_one(slot, l + 5) * BLOCK_FRAMES,
        at + load_one(slot, l + 6) * BLOCK_FRAMES,
        at + load_one(slot, l + 7) * BLOCK_FRAMES,
    )


@inlined
def first_together(begin, end):
    """The first of the frames before `end`, not before `begin`, that are computed in one pass over the labels."""
    return max(begin, (end - 1) // BLOCK_FRAMES * BLOCK_FRAMES)


@subroutine
def step_back(row, begin, end, scratch, first, last, beta, at, stride, window):
    """Compute β of the frames from begin to end, of one block, for the chunks from `first` to `last`.

    Args:
        row: see `relative_scores.Scores`.
        scratch: (SCRATCH,).
        beta: β of frame `begin` is written to `at`, of each later one `stride` further, where that of frame `end` is
            read; with a stride of 0, β of frame `end` is replaced by that of `begin`.
        window: the chunk that `at` belongs to.
    """
    frames, column, scores = end - begin, begin % BLOCK_FRAMES, BLOCK_FRAMES * LANES
    block = find_block(row, begin - column)
    none = full_like(load(scratch, 0), -np.inf)
    for k in range(frames):
        store(scratch, k * LANES, none)
    for chunk in range(last, first - 1, -1):
        place = at + (chunk - window) * CHUNK
        by_frame = transpose_rows(row.table, _places(block, row.slot, chunk * LANES))
        for k in range(BLOCK_FRAMES):
            store(scratch, scores + k * LANES, by_frame[k])
        skip = load(row.skip, chunk * LANES)
        label, blank = load(beta, place + frames * stride), load(beta, place + frames * stride + LANES)
        for k in range(frames - 1, -1, -1):
            y = load(scratch, scores + (column + k) * LANES) + label
            z = full_like(y, load_one(row.table, block + column + k)) + blank
            w = maximum(y + skip, z)
            label, blank = maximum(one_after(w, load(scratch, k * LANES)), y), maximum(y, z)
            store(scratch, k * LANES, w)
            store(beta, place + k * stride, label)
            store(beta, place + k * stride + LANES, blank)
