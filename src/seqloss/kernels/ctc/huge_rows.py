"""The huge rows of a batch, in the steps of `halves.py`: one row per thread, or one row on several threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from seqloss.kernels.ctc import layout
from seqloss.kernels.ctc.blocks import Space
from seqloss.kernels.ctc.emissions import Scratch
from seqloss.kernels.ctc.halves import BACK, FINISH, MEASURE, MEET, NUMBER, SUM, compute_huge_row_step
from seqloss.kernels.ctc.rows import Path
from seqloss.kernels.ctc.scratch import take_measuring_scratch, take_path_sums
from seqloss.kernels.numba import threads
from seqloss.kernels.numba.workspace import FLOAT, INTEGER, Workspace

HUGE = 3e6
"""Rows with at least so many nanoseconds of estimated work are summed from both ends."""
LIKE = 0.8
"""Rows are computed one per thread if the smallest costs at least this fraction of the largest."""


class _Row:
    """A row between two steps, and its memory in the caller's workspace.

    Args:
        place: its number among the rows that are computed together, part of the names of its arrays.
        given: the arguments of `compute_huge_row_step` from `scores` to `weights`.
    """

    def __init__(self, workspace: Workspace, place: int, n: int, given: tuple[Any, ...], sizes: dict[str, int]) -> None:
        self.n, self.given = n, given

        def take(name: str, dtype: np.dtype = FLOAT) -> np.ndarray:
            return workspace.take(f"{name} of huge row {place}", sizes[name], dtype)

        self.saved = take("saved").reshape(2, -1), take("saved_exponents", INTEGER).reshape(2, -1)
        self.own = (
            take("counted", given[0].dtype), take("floats"), take("integers", INTEGER),
            take("mirrored_slot", INTEGER), take("mirrored_skip"), take("ends"), take("end_exponents", INTEGER),
            take("betas"), take("m"), take("e", INTEGER),
        )  # fmt: skip
        self.found = np.zeros(1 + max(2, threads.get_num_threads()), np.int64)

    def run_step(self, step: int, turn: int, turns: int, space: Space, scratch: Scratch) -> None:
        space = space._replace(saved=self.saved[0][turn % 2], saved_exponents=self.saved[1][turn % 2])
        compute_huge_row_step(step, turn, turns, self.n, *self.given, space, scratch, *self.own, self.found)

    def worst(self, turns: int) -> int:
        """The worst `Path` of all parts after the last step."""
        return int(self.found[1 : 1 + turns].max())


def compute_huge_rows(
    chosen: np.ndarray, costs: np.ndarray, given: tuple[Any, ...], classes: int, frames: int, labels: int,
    gradient: bool, losses: np.ndarray, paths: np.ndarray,
) -> None:  # fmt: skip
    """Write losses, paths and gradients of the chosen rows.

    Rows whose path is then DEEP, STEEP or UNCERTAIN are to be computed in extended-exponent numbers.

    If there are as many rows of similar cost as threads, each thread computes one, without waiting for the others. The
    remaining rows are divided among all threads.

    Args:
        costs: estimated costs of the chosen rows, the largest first.
        given: the arguments of `compute_huge_row_step` from `scores` to `weights`.
        frames, labels: the most of any row.
    """
    count = threads.get_num_threads()
    sizes = _row_sizes(frames, labels, classes, gradient)
    half = layout.space_sizes(frames - frames // 2, labels, classes, gradient)

    def together(rows: list[int], count: int) -> None:
        with Workspace() as workspace:
            going = [_Row(workspace, place, n, given, sizes) for place, n in enumerate(rows)]
            for step, some, turns in _steps_in_order(going, paths, count, gradient):
                _run_step(step, some, turns, count, half, labels, classes)
        for n in rows:
            if paths[n] >= Path.INFEASIBLE:
                losses[n] = np.inf if paths[n] == Path.INFEASIBLE else np.nan

    split = []
    for begin in range(0, len(chosen), count):
        rows = chosen[begin : begin + count].tolist()
        if len(rows) == count and costs[begin + count - 1] > LIKE * costs[begin]:
            threads.run_in_threads(lambda n: together([n], 1), rows)
        else:
            split.extend(rows)
    at_a_time = (count + 1) // 2
    for begin in range(0, len(split), at_a_time):
        together(split[begin : begin + at_a_time], count)


def _steps_in_order(
    rows: list[_Row], paths: np.ndarray, count: int, gradient: bool
) -> Iterator[tuple[int, list[_Row], int]]:
    """Each step in order, the rows that take part in it, and the number of parts.

    Paths are updated between two steps, so that rows drop out as soon as they have no sum.
    """
    yield NUMBER, rows, 1
    there = [row for row in rows if paths[row.n] != Path.REFUSED]
    yield MEASURE, there, count
    for row in there:
        paths[row.n] = max(paths[row.n], row.worst(count))
    summed = [row for row in there if paths[row.n] == Path.FAST]
    yield SUM, summed, 2
    for row in summed:
        paths[row.n] = row.worst(2)
    met = [row for row in summed if paths[row.n] == Path.FAST]
    yield MEET, met, 1
    if gradient:
        back = [row for row in met if paths[row.n] == Path.FAST]
        yield BACK, back, 2
        for row in back:
            paths[row.n] = row.worst(2)
        yield FINISH, rows, 1


def _run_step(
    step: int, rows: list[_Row], turns: int, count: int, sizes: dict[str, int], labels: int, classes: int
) -> None:
    """Run a step for all parts of all rows, on up to `count` threads."""
    tasks = [(row, turn) for row in rows for turn in range(turns)]

    def work(share: list[tuple[_Row, int]]) -> None:
        with Workspace() as workspace:
            there, scratch = (
                take_path_sums(workspace, sizes),
                take_measuring_scratch(workspace, share[0][0].given[0].dtype, labels, classes),
            )
            for row, turn in share:
                row.run_step(step, turn, turns, there, scratch)

    if tasks:
        threads.run_in_threads(work, [tasks[k::count] for k in range(min(count, len(tasks)))])


def _row_sizes(frames: int, labels: int, classes: int, gradient: bool) -> dict[str, int]:
    """Elements of the arrays that belong to one row."""
    half = layout.space_sizes(frames - frames // 2, labels, classes, gradient)
    two, width = layout.pair_size(labels), layout.pair_size(labels) // 2
    return {
        "saved": 2 * half["saved"], "saved_exponents": 2 * half["saved_exponents"], "counted": classes,
        "floats": layout.floats_size(frames, labels, classes), "integers": layout.integers_size(labels, classes),
        "mirrored_slot": width, "mirrored_skip": width, "ends": 2 * two, "end_exponents": two, "betas": 2 * two,
        "m": two, "e": two,
    }  # fmt: skip
