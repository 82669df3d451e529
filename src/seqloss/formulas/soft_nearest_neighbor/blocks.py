"""The losses and their gradient by blocks of pairs, in memory for a few blocks.

A block holds the scores of the points of one range with those of another. As s_ij = s_ji, it serves the rows of both,
so that half of all blocks are computed. With the points sorted by label, most blocks are of one kind: all pairs of one
class, or none.

With p_i = O_i / (S_i + O_i), loss_i has the derivatives

    d loss_i / d s_ij = -p_i exp(s_ij) / S_i  for j of the class of i,    p_i exp(s_ij) / O_i  for all others,

and, with W_ij the sum of the two derivatives with respect to s_ij = s_ji, weighted by what the losses count,

    gradient_i = -2 (sum_j W_ij z_i - sum_j W_ij z_j)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from seqloss.formulas.namespace import Namespace

Array = Any


LOWEST = {4: 1e38, 8: 1e300}
"""By the bytes of a float, how far under 0 sums start: finite, as -inf - -inf would be NaN."""


class LogSums(NamedTuple):
    """log S_i and log O_i, each (points, 1); -inf for a sum without terms."""

    same: Array
    other: Array


class Range(NamedTuple):
    """Points of consecutive numbers. All pairs of two ranges are of one class, or none, if `label` says so.

    Attributes:
        start, stop: as in `range`.
        label: of all points; None for several labels, none of which is in another range.
        known: whether the host knows the labels; if not, any pair may be of one class.
    """

    start: int
    stop: int
    label: int | None = None
    known: bool = False


def ranges_of_sorted(labels: np.ndarray, size: int) -> list[Range]:
    """Ranges of at most `size` points that split no class, unless it is larger; labels (points,) are sorted."""
    starts = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1)).tolist()  # of the classes
    found: list[Range] = []
    first = 0  # point of the last range, if that range holds whole classes
    for start, stop in pairwise([*starts, len(labels)]):
        if found and stop - first <= size:
            found[-1] = Range(first, stop, None, True)
            continue
        pieces = [(place, min(place + size, stop)) for place in range(start, stop, size)]
        found += [Range(*piece, int(labels[start]), True) for piece in pieces]
        first = start
    return found


def ranges_of(count: int, size: int) -> list[Range]:
    """Ranges of at most `size` points whose labels the host does not know."""
    return [Range(start, min(start + size, count)) for start in range(0, count, size)]


class Block(NamedTuple):
    """The scores of two ranges of points.

    Attributes:
        rows, columns: indices of the two ranges.
        scores: (rows, columns); -inf for a point with itself.
        same: whether a pair is of one class: an array, or one answer for all.
    """

    rows: int
    columns: int
    scores: Array
    same: Any


def _blocks(xp: Namespace, points: Array, labels: Array, ranges: Sequence[Range]) -> Iterator[Block]:
    """Every pair of ranges once."""
    squares, ones = xp.sum(points * points, 1), points[:, :1] * 0 + 1
    left, right = xp.concat([2 * points, -squares, -ones], 1), xp.concat([points, ones, squares], 1)
    right = xp.transpose(right, (1, 0))
    for i, rows in enumerate(ranges):
        for j, columns in enumerate(ranges[i:], i):
            scores = xp.matmul(left[rows.start : rows.stop], right[:, columns.start : columns.stop])
            same = _same(labels, rows, columns)
            if i == j:
                scores.reshape(-1)[:: rows.stop - rows.start + 1] = float("-inf")  # a point with itself
            yield Block(i, j, scores, same)


def _same(labels: Array, rows: Range, columns: Range) -> Any:
    if rows.known and rows.label is not None and rows.label == columns.label:
        return True
    if rows.known and rows != columns:
        return False
    return labels[rows.start : rows.stop][:, None] == labels[columns.start : columns.stop][None, :]


def log_sums(xp: Namespace, points: Array, labels: Array, ranges: Sequence[Range]) -> LogSums:
    """log S_i and log O_i of all points.

    Args:
        points: (points, dimensions), of `scale_points`, sorted by label.
        labels: (points,).
        ranges: of `ranges_of`.
    """
    if not ranges:
        return LogSums(points[:, :1], points[:, :1])
    sums = {kind: _RunningSums(xp, points, ranges) for kind in (True, False)}
    for block in _blocks(xp, points, labels, ranges):
        for kind, running in sums.items():
            if block.same is not (not kind):
                scores = block.scores if block.same is kind else _only(xp, block, kind)
                running.add(block.rows, scores)
                if block.rows != block.columns:
                    running.add(block.columns, xp.transpose(scores, (1, 0)))
    return LogSums(sums[True].logs(), sums[False].logs())


def _only(xp: Namespace, block: Block, kind: bool) -> Array:
    return xp.where(block.same if kind else ~block.same, block.scores, float("-inf"))


class _RunningSums:
    """Sums of exp(score) for each point, as a largest score and the sum of exp(score - largest)."""

    def __init__(self, xp: Namespace, points: Array, ranges: Sequence[Range]) -> None:
        self.xp = xp
        nothing = points[:, :1] * 0
        self.sums = [nothing[part.start : part.stop] for part in ranges]
        self.largest = [part - LOWEST[points.dtype.itemsize] for part in self.sums]

    def add(self, place: int, scores: Array) -> None:
        xp, before = self.xp, self.largest[place]
        largest = xp.maximum(before, xp.max(scores, 1))
        more = xp.sum(xp.exp(scores - largest), 1)
        self.sums[place] = self.sums[place] * xp.exp(before - largest) + more
        self.largest[place] = largest

    def logs(self) -> Array:
        xp = self.xp
        sums = xp.concat(self.sums, 0)
        return xp.where(sums == 0, float("-inf"), xp.concat(self.largest, 0) + xp.log(xp.where(sums == 0, 1.0, sums)))


def losses_of(xp: Namespace, sums: LogSums, points: Array) -> Array:
    """(points,); 0 for a point whose label occurs once, NaN for all if any coordinate is not finite."""
    used = _used(xp, sums)
    losses = xp.softplus(xp.where(used, sums.other - sums.same, 0.0))
    nothing = 0 * xp.sum(xp.sum(points * points, 1), 0)
    return (xp.where(used, losses, 0.0) + nothing)[:, 0]


def gradient(
    xp: Namespace, points: Array, labels: Array, ranges: Sequence[Range], sums: LogSums, weights: Array
) -> Array:
    """The derivative of the sum of weight times loss with respect to the points, (points, dimensions).

    Args:
        points, labels, ranges: as for `log_sums`, whose result `sums` is.
        weights: (points,).
    """
    if not ranges:
        return points
    used = _used(xp, sums)
    wrong = xp.where(used, sums.other - sums.same, 0.0)
    weights = xp.where(used, weights[:, None] * xp.exp(wrong - xp.softplus(wrong)), 0.0)  # weight times p_i
    logs = LogSums(*(xp.where(used, part, 0.0) for part in sums))
    wide = xp.concat([points, points[:, :1] * 0 + 1], 1)
    totals = [wide[part.start : part.stop] * 0 for part in ranges]
    for block in _blocks(xp, points, labels, ranges):
        rows, columns = ranges[block.rows], ranges[block.columns]
        both = _derivatives(xp, block, logs, weights, rows)
        if block.rows == block.columns:
            both = both + xp.transpose(both, (1, 0))
        else:
            both = both + xp.transpose(_derivatives(xp, _turned(xp, block), logs, weights, columns), (1, 0))
            found = xp.matmul(xp.transpose(both, (1, 0)), wide[rows.start : rows.stop])
            totals[block.columns] = totals[block.columns] + found
        totals[block.rows] = totals[block.rows] + xp.matmul(both, wide[columns.start : columns.stop])
    total = xp.concat(totals, 0)
    return 2 * (total[:, :-1] - total[:, -1:] * points)


def _turned(xp: Namespace, block: Block) -> Block:
    same = block.same if isinstance(block.same, bool) else xp.transpose(block.same, (1, 0))
    return Block(block.columns, block.rows, xp.transpose(block.scores, (1, 0)), same)


def _derivatives(xp: Namespace, block: Block, logs: LogSums, weights: Array, rows: Range) -> Array:
    """weight times d loss_i / d s_ij for the pairs of a block, without those of the columns' losses."""
    same, other, weights = (part[rows.start : rows.stop] for part in (*logs, weights))
    if block.same is False:
        return weights * xp.exp(block.scores - other)
    if block.same is True:
        return -weights * xp.exp(block.scores - same)
    return xp.where(block.same, -weights, weights) * xp.exp(block.scores - xp.where(block.same, same, other))


def _used(xp: Namespace, sums: LogSums) -> Array:
    """Whether a point has a neighbour of its class and one of another class; else its loss is 0 without gradient."""
    return (sums.same > float("-inf")) & (sums.other > float("-inf"))
