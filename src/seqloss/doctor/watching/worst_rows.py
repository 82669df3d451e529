"""Rows that are not learnt while the others are: their targets are often wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.view import LEAST_STEPS, View

LEARNT = 0.2
"""Median loss of rows relative to the loss at the first look."""

NOT_LEARNT = 1.5
"""Loss of a row relative to the same."""

ROWS = 2
"""Rows that were found until they are reported."""

FEW = 0.25
"""Largest share of rows; more are no exception."""

CODE = """\
losses = [loss(model, row).item() for row in rows]
print(sorted(range(len(losses)), key=lambda row: -losses[row])[:10])
"""


class WorstRows:
    """Follows the losses of single rows that are trained on."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.found: list[tuple[int, int, float]] = []
        self.looked = 0
        self.is_reported = False

    def look(self, view: View) -> Iterator[Finding]:
        if view.rows is None or self.is_reported or (self.first is not None and view.step < LEAST_STEPS):
            return
        if self.first is None:
            self.first = view.plain.value
        if view.plain.value > 3 * LEARNT * self.first:
            return
        losses = [one for one in view.row_losses() if math.isfinite(one)]
        if len(losses) < 3:
            return
        if median(losses) < LEARNT * self.first:
            self.found += [(view.step, row, one) for row, one in enumerate(losses) if one > NOT_LEARNT * self.first]
            self.looked += len(losses)
            if ROWS <= len(self.found) <= FEW * self.looked:
                self.is_reported = True
                yield Finding(
                    "rows-not-learnt", "note",
                    {"step": view.step, "rows (step, row of its batch, loss)": self.found,
                     "median loss of rows": median(losses), "before training": self.first},
                    "these rows have the loss of an untrained model, while the others are learnt: their targets may "
                    "belong to other rows, or be wrong",
                    "Look at these rows; sort all training rows by their loss, and check the first ones", CODE,
                )  # fmt: skip
