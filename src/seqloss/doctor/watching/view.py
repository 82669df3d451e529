"""The model in training, called in evaluation mode on a few rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from seqloss.doctor.batch_rows import BatchRows, Path, map_batch, parts_of
from seqloss.doctor.subject import Call, Loss, Subject

ROWS = 8
"""Of a batch that are looked at."""

LATE = 0.1
"""Share of the training after which a model has usually begun to learn."""

LATE_STEPS = 200
"""The same in steps, if the length of the training is unknown; no training is late before a tenth of them."""


@dataclass
class View:
    """A look at the model between two steps.

    Attributes:
        step: number of the step that comes next, from 1.
        steps: of the whole training; None if unknown.
        subject: model and loss, with the rows that are looked at as its only batch.
        is_held_out: whether the rows are not trained on.
    """

    step: int
    steps: int | None
    subject: Subject
    is_held_out: bool

    @property
    def is_late(self) -> bool:
        """Whether a healthy model has usually begun to learn."""
        return self.step >= max(LATE_STEPS // 10, LATE * self.steps if self.steps else LATE_STEPS)

    @property
    def batch(self) -> Any:
        return self.subject.batches[0]

    @cached_property
    def rows(self) -> BatchRows | None:
        """None if rows are not recognised, or there are fewer than two."""
        try:
            found = BatchRows(self.batch)
        except ValueError:
            return None
        return found if found.count > 1 else None

    @cached_property
    def plain(self) -> Call:
        """The batch as it is."""
        return self.subject.call(self.batch, seed=None)

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """Of floats."""
        return {name: tensor for name, tensor in self.plain.outputs.items() if tensor.is_floating_point()}

    def exchanged(self, paths: frozenset[Path], lag: int) -> float:
        """The loss with some parts of the batch taken from other rows, `lag` places further."""
        assert self.rows is not None
        order = [(row + lag) % self.rows.count for row in range(self.rows.count)]
        turned = parts_of(self.rows.take(order))
        return self.subject.call(
            map_batch(self.batch, lambda path, part: turned[path] if path in paths else part)
        ).value


def take_view(model: nn.Module, loss: Loss, batch: Any, step: int, steps: int | None, is_held_out: bool) -> View:
    """A view of the first rows of a batch; of all if its rows are not recognised."""
    try:
        rows = BatchRows(batch)
        used = rows.take(range(ROWS), trim=True) if rows.count > ROWS else batch
    except ValueError:
        used = batch
    return View(step, steps, Subject(model, [used], loss), is_held_out)
