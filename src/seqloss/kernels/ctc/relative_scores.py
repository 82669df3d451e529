"""The scores of a row relative to the largest of each frame, in float64, for the recursion over maxima.

The recursion takes the scores of eight neighbouring frames at a time: eight frames of one class are a vector. The
relative scores of a row are kept if they are few. Otherwise those of a block are computed again where they are needed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seqloss.contract import MASKED
from seqloss.kernels.ctc.layout import LANES
from seqloss.kernels.numba.compilation import inlined, subroutine
from seqloss.kernels.numba.softmax import (
    largest_and_smallest,
    prepare_exponentials,
    sum_other_exponentials,
    write_exponentials,
)
from seqloss.kernels.numba.vectors import (
    any_lane,
    full_like,
    gather_float64,
    less,
    load,
    load_one,
    logical_or,
    maximum,
    not_below,
    select,
    store,
    store_one,
)

BLOCK_FRAMES = LANES
"""Frames of a block."""


class Scores(NamedTuple):
    """The scores of a row, and how they are read.

    Attributes:
        scores: of the batch, contiguous; origin: where those of the row begin; classes: how many a frame has.
        frames: of the row.
        normalize: the relative scores are used; otherwise the scores as they are, except that masked ones are -inf.
        tops: (frames and a vector,) the score that those of a frame are relative to.
        rests: (frames,) the sum of a frame's exponentials relative to it, without its own 1.
        classes_used, used: the classes in use and their number, the blank first.
        slot: (labels in whole vectors,) the number of each label among them; `used` past the last label.
        skip: (labels in whole vectors,) 0 for a label that differs from the one before it, else -inf.
        table: (blocks, used + 1, BLOCK_FRAMES) if `kept`, else (used + 1, BLOCK_FRAMES): the relative scores of a
            block's frames; those of the last slot are -inf.
        offsets: (BLOCK_FRAMES,) int64, scratch.
    """

    scores: np.ndarray
    origin: int
    classes: int
    frames: int
    normalize: bool
    tops: np.ndarray
    rests: np.ndarray
    classes_used: np.ndarray
    used: int
    slot: np.ndarray
    skip: np.ndarray
    table: np.ndarray
    kept: bool
    offsets: np.ndarray


@subroutine
def measure_row(row, counted, scratch):
    """Write `tops` and `rests`, and the table if it is kept; whether all frames are finite.

    Args:
        counted: (classes,), 1 in all of them; scratch: see `emissions.Scratch`.
    """
    for begin in range(0, row.frames, BLOCK_FRAMES):
        block = begin // BLOCK_FRAMES * (row.used + 1) * BLOCK_FRAMES if row.kept else 0
        if row.normalize:
            if not _measure_softmax(row, begin, min(row.frames, begin + BLOCK_FRAMES), counted, scratch):
                return False
            if row.kept:
                _gather_block(row, begin, block)
        else:
            _gather_block(row, begin, block)
            if not _find_largest_in_use(row, begin, block):
                return False
        if row.kept:
            _make_relative(row, begin, block)
    return True


@subroutine
def _measure_softmax(row, begin, end, counted, scratch):
    """Write the largest score of each frame and the sum of the other exponentials; whether all are finite."""
    tops, bottoms = scratch.tops, row.rests
    for t in range(begin, end):
        top, bottom = largest_and_smallest(row.scores, row.origin + t * row.classes, row.classes)
        if not (top > -np.inf):
            return False
        row.tops[t] = top
        store_one(tops, t - begin, top)
        bottoms[t] = bottom
    prepare_exponentials(tops, scratch.origins, scratch.rounders, scratch.rests, end - begin)
    for t in range(begin, end):
        write_exponentials(
            row.scores, row.origin + t * row.classes, row.classes, row.tops[t], bottoms[t],
            load_one(scratch.origins, t - begin), load_one(scratch.rounders, t - begin),
            load_one(scratch.rests, t - begin), scratch.exponentials, 0,
        )  # fmt: skip
        rest, ties = sum_other_exponentials(scratch.exponentials, 0, row.classes, counted, 0)
        row.rests[t] = rest + (ties - 1)
    return True


@subroutine
def _gather_block(row, begin, at):
    """Write the scores of a block to the table, from `at` on."""
    for k in range(BLOCK_FRAMES):  # frames past the end are read as the last one, and are not used
        store_one(row.offsets, k, min(k, row.frames - 1 - begin) * row.classes)
    offsets, start = load(row.offsets, 0), row.origin + begin * row.classes
    for u in range(row.used):
        store(row.table, at + u * BLOCK_FRAMES, gather_float64(row.scores, start + row.classes_used[u], offsets))
    store(row.table, at + row.used * BLOCK_FRAMES, full_like(load(row.table, at), -np.inf))


@subroutine
def _find_largest_in_use(row, begin, at):
    """Write the largest score of the classes in use in each frame of a block; whether none is NaN or +inf."""
    top = load(row.table, at)
    infinity = full_like(top, np.inf)
    wrong = not_below(top, infinity)
    for u in range(1, row.used):
        score = load(row.table, at + u * BLOCK_FRAMES)
        top, wrong = maximum(top, score), logical_or(wrong, not_below(score, infinity))
    # a frame in which every class that is read is masked has no path
    store(row.tops, begin, select(less(top, full_like(top, -MASKED)), full_like(top, 0.0), top))
    return not any_lane(wrong)


@subroutine
def _make_relative(row, begin, at):
    """Turn the scores of a block into relative scores; masked ones become -inf."""
    tops = load(row.tops, begin)
    masked, none = full_like(tops, -MASKED), full_like(tops, -np.inf)
    for u in range(row.used):
        score = load(row.table, at + u * BLOCK_FRAMES)
        relative = score - tops
        found = relative if row.normalize else score
        store(row.table, at + u * BLOCK_FRAMES, select(less(relative, masked), none, found))


@inlined
def find_block(row, begin):
    """Where the relative scores of the block that begins with a frame are in the table."""
    if row.kept:
        return begin // BLOCK_FRAMES * (row.used + 1) * BLOCK_FRAMES
    _gather_block(row, begin, 0)
    _make_relative(row, begin, 0)
    return 0


@inlined
def relative_score(row, t, u):
    """One entry of the table, from the scores."""
    score = np.float64(load_one(row.scores, row.origin + t * row.classes + row.classes_used[u]))
    relative = score - load_one(row.tops, t)
    return -np.inf if relative < -MASKED else relative if row.normalize else score


@inlined
def log_probability(row, t, c):
    """The log-probability of class c in frame t."""
    score = np.float64(load_one(row.scores, row.origin + t * row.classes + c))
    if row.normalize:
        score -= row.tops[t]
        score -= math.log1p(row.rests[t])
    return score
