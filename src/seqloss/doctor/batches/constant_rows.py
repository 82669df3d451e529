"""Rows that are the same in all steps, where others are not: not by chance."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

CHANCE = 1e-6
"""That one of the rows is constant although its steps are equal to each other as often as those of other rows."""

FEW = 0.1
"""Share of rows that may be the same in all steps, but not one number: more are how the data is."""

STEPS = 8
"""Of an axis, at least: fewer are channels, which can be copies of each other."""


def find_constant(rows: Sequence[Tensor], *, has_steps: bool) -> list[int]:
    """The places of rows that do not change along an axis of steps, or at all.

    Steps of the other rows say how often a step is equal to the one before. A row of sparse events, or of a level that
    is held, is constant by chance; a row that could not be is found.

    Args:
        rows: the values of each, up to its length; all with the same number of axes.
        has_steps: whether the first axis is known to be that of the steps; otherwise all axes are tried.
    """
    axes = range(1 if has_steps else min((x.dim() for x in rows), default=0))
    chances = {axis: _chances(rows, axis) for axis in (None, *axes)}
    of_one_number = [place for place, chance in chances.pop(None).items()
                     if max([chance, *(found.get(place, 0.0) for found in chances.values())]) < CHANCE]  # fmt: skip
    found = set(of_one_number)
    for one in chances.values():
        held = [place for place, chance in one.items() if chance < CHANCE]
        found |= set(held) if len(held) <= FEW * len(rows) else set()
    return sorted(found)


def _chances(rows: Sequence[Tensor], axis: int | None) -> dict[int, float]:
    """The places of the rows that are the same in all steps -> that one of all rows is so by chance."""
    counts = [_equal_steps(x, axis) for x in rows]
    constant = {place for place, (equal, steps) in enumerate(counts) if steps and equal == steps}
    others = [counts[place] for place in range(len(rows)) if place not in constant]
    equal, steps = (sum(one) for one in zip(*others, strict=True)) if others else (0, 0)
    share = (equal + 1) / (steps + 1)
    return {place: len(rows) * share ** counts[place][1] for place in constant}


def _equal_steps(x: Tensor, axis: int | None) -> tuple[int, int]:
    """How many steps are equal to the one before, of how many; (0, 0) if there are too few of them."""
    steps = x.flatten() if axis is None else x.movedim(axis, 0).reshape(x.shape[axis], -1)
    if len(steps) < STEPS:
        return 0, 0
    same = steps[1:] == steps[:-1]
    return int((same if axis is None else same.all(1)).sum()), len(same)
