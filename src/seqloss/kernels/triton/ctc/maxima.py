"""The best step from each state in each frame: maxima backward in time, in float64.

    β_t(s) = max over the states s' that may follow s of  x_t(s') + β_{t+1}(s')

is `seqloss.kernels.ctc.align`'s recursion, on the same float64 numbers added up in the same order, so that every
decision is the same: the largest of the steps that attain the maximum (`seqloss.reference.alignment` shows why that is
the contract's rule for ties). Column l holds two states: the blank before label l, and label l; one past the
last label holds the last blank. With e the label's x + β and b the blank's, a frame is

    β(blank l) = max(b_l, e_l)        β(label l) = max(e_l, b_{l+1}, e_{l+1} if label l+1 is another class)

so that values move by one column to the left, and both steps of a column fit into one byte.

A tile of columns is one warp; each lane has PARTS neighbouring columns, in a tuple of PARTS tensors. Only the first
column of a lane is gathered by the lane before. With short targets, several rows share a warp. Targets longer than a
tile are computed tile by tile, the last first, each in its own launch, which stores its first column in each frame for
the next launch. The scores of two frames ahead are loaded while a frame is computed.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import triton
import triton.language as tl

from seqloss.kernels.triton.extended_exponent import MASKED

MINUS_INFINITY = tl.constexpr(float("-inf"))


@triton.jit
def _load_columns(targets, labels, column, PARTS: tl.constexpr):
    """Load the class of each column's label, and whether the next label may follow without a blank."""
    k, skip = (), ()
    for i in tl.static_range(PARTS):
        l = column + i
        this = tl.load(targets + l, mask=l < labels, other=0)
        k = k + (this.to(tl.int64),)
        skip = skip + ((l + 1 < labels) & (this != tl.load(targets + l + 1, mask=l + 1 < labels, other=0)),)
    return k, skip


@triton.jit
def _load_frame(
    logits, time_step, class_step, k, blank, tops, edge, t, frames, column, labels, more, LAST: tl.constexpr,
    PARTS: tl.constexpr,
):  # fmt: skip
    """Load frame t: the scores of labels and blank, the largest score, the first column of the tile to the right."""
    t = tl.maximum(t, 0)
    inside = t < frames  # (rows, 1)
    at = logits + t.to(tl.int64) * time_step
    x = ()
    for i in tl.static_range(PARTS):
        x = x + (tl.load(at + k[i] * class_step, mask=inside & (column + i < labels), other=0.0),)  # (rows, lanes)
    b = tl.load(at + (t.to(tl.int64) * 0 + blank) * class_step, mask=inside, other=0.0)
    top = tl.load(tops + t, mask=inside, other=0.0)
    e_right, b_right = top, top
    if not LAST:
        e_right = tl.load(edge + 2 * t, mask=inside & more, other=MINUS_INFINITY)
        b_right = tl.load(edge + 2 * t + 1, mask=inside & more, other=MINUS_INFINITY)
    return x, b, top, e_right, b_right


@triton.jit
def _emission_score(x, top, NORMALIZE: tl.constexpr):
    """A score relative to its frame's largest, or with normalize=False as it is; -inf if masked."""
    x = x.to(tl.float32).to(tl.float64)
    relative = x - top.to(tl.float64)
    return tl.where(relative < -MASKED, MINUS_INFINITY, relative if NORMALIZE else x)


@triton.jit(do_not_specialize=["batch", "time", "labels_axis", "blank", "start"])
def best_steps(
    logits, row_step, time_step, class_step, targets, tops, frame_counts, label_counts, blank,
    edge_right, edge_left, steps, reached, batch, time, labels_axis, start,
    NORMALIZE: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr,
    ROWS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Compute one tile of columns, from the last frame to the first.

    Args:
        edge_right: (batch, time, 2), label and blank of the first column of the tile to the right.
        edge_left: (batch, time, 2), out, the same of this tile.
        steps: uint8 (batch, time, columns), out, the label's step in the two lowest bits, the blank's in the next.
        reached: (batch,), out, written by the first tile: the score of the best path.
    """
    n = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]  # (rows, 1)
    frames = tl.load(frame_counts + n, mask=n < batch, other=0).to(tl.int32)
    labels = tl.load(label_counts + n, mask=n < batch, other=0).to(tl.int32)
    frames = tl.where(labels >= start, frames, 0)  # rows that end further left have no columns here
    lane = tl.arange(0, LANES)[None, :]
    column = start + lane * PARTS  # (1, lanes)
    next_lane = tl.broadcast_to((lane + 1) % LANES, (ROWS, LANES))
    more = start + LANES * PARTS <= labels  # the row has columns right of the tile
    k, may_skip = _load_columns(targets + n * labels_axis, labels, column, PARTS)
    # 1. after the last frame: 0 on the last label and on the last blank
    label_ahead, blank_ahead = (), ()
    for i in tl.static_range(PARTS):
        label_ahead = label_ahead + (tl.where(column + i == labels - 1, 0.0, MINUS_INFINITY).to(tl.float64),)
        blank_ahead = blank_ahead + (tl.where(column + i == labels, 0.0, MINUS_INFINITY).to(tl.float64),)
    row, top, edge = logits + n * row_step, tops + n * time, edge_right + 2 * n * time
    step_of_column = steps + n * time * (labels_axis + 1) + column
    left = edge_left + 2 * n * time + tl.zeros_like(lane)
    t = tl.max(frames) - 1
    now = _load_frame(row, time_step, class_step, k, blank, top, edge, t, frames, column, labels, more, LAST, PARTS)
    soon = _load_frame(
        row, time_step, class_step, k, blank, top, edge, t - 1, frames, column, labels, more, LAST, PARTS
    )
    while t >= 0:
        later = _load_frame(
            row, time_step, class_step, k, blank, top, edge, t - 2, frames, column, labels, more, LAST, PARTS
        )  # fmt: skip
        # 2. e, b: score and β of each column's label and blank, and of the column right of the tile
        inside = t < frames
        blank_score = _emission_score(now[1], now[2], NORMALIZE)
        e, b = (), ()
        for i in tl.static_range(PARTS):
            score = tl.where(column + i < labels, _emission_score(now[0][i], now[2], NORMALIZE), MINUS_INFINITY)
            e, b = e + (score + label_ahead[i],), b + (blank_score + blank_ahead[i],)
        e_right, b_right = tl.gather(e[0], next_lane, 1), tl.gather(b[0], next_lane, 1)
        if not LAST:
            e_right = tl.where(lane == LANES - 1, now[3], e_right)
            b_right = tl.where(lane == LANES - 1, now[4], b_right)
        if not FIRST:
            tl.store(left + 2 * t, e[0], mask=inside & (lane == 0))
            tl.store(left + 2 * t + 1, b[0], mask=inside & (lane == 0))
        e, b = e + (e_right,), b + (b_right,)
        # 3. the best step of each state; >= prefers the larger step
        label_before, blank_before = (), ()
        for i in tl.static_range(PARTS):
            used = column + i < labels
            leaves = b[i + 1] >= e[i]
            best = tl.where(leaves, b[i + 1], e[i])
            skips = may_skip[i] & (e[i + 1] >= best)
            best = tl.where(skips, e[i + 1], best)
            enters = used & (e[i] >= b[i])
            step = tl.where(skips, 2, tl.where(leaves, 1, 0)) + tl.where(enters, 4, 0)
            there = step_of_column + t.to(tl.int64) * (labels_axis + 1) + i
            tl.store(there, step.to(tl.uint8), mask=inside & (column + i <= labels))
            label_before = label_before + (tl.where(inside & used, best, label_ahead[i]),)
            blank_before = blank_before + (tl.where(inside, tl.where(enters, e[i], b[i]), blank_ahead[i]),)
        label_ahead, blank_ahead = label_before, blank_before
        now, soon = soon, later
        t -= 1
    if FIRST:
        tl.store(reached + n + tl.zeros_like(lane), blank_ahead[0], mask=(n < batch) & (lane == 0))
