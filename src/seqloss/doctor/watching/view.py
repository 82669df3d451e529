"""The model in training, called in evaluation mode on a few rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from seqloss.doctor.batches.parts import Path, map_batch
from seqloss.doctor.batches.rows import BatchRows, exchange_content
from seqloss.doctor.subject import Call, Change, Loss, Subject

ROWS = 8
"""Of a batch that are looked at."""

LATE = 0.4
"""Share of the training after which a model has begun to learn: plateaus of healthy trainings with CTC end before."""

LATE_STEPS = 1000
"""The same in steps, if the length of the training is unknown."""

LEAST_STEPS = 100
"""No model has to learn anything before."""


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
        return self.step >= (max(LATE * self.steps, LEAST_STEPS) if self.steps else LATE_STEPS)

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
    def returned(self) -> list[Any]:
        """What the model returned, in each call by the loss of the batch as it is; filled with `plain`."""
        return []

    @cached_property
    def plain(self) -> Call:
        """The batch as it is."""
        keep = self.subject.model.register_forward_hook(lambda module, inputs, output: self.returned.append(output))
        try:
            return self.subject.call(self.batch, seed=None)
        finally:
            keep.remove()

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """Of floats."""
        return {name: tensor for name, tensor in self.plain.outputs.items() if tensor.is_floating_point()}

    def exchanged(self, paths: frozenset[Path], lag: int) -> float:
        """The loss with the content of some parts taken from other rows, `lag` places further; lengths stay."""
        rows = self.rows
        assert rows is not None
        order = [(row + lag) % rows.count for row in range(rows.count)]

        def change(path: Path, part: Any) -> Any:
            return rows.take_content(part, order) if path in paths else part

        return self.subject.call(map_batch(self.batch, change), seed=None).value

    def with_outputs(self, batch: Any, change: Change | None = None) -> float:
        """The loss of a batch with the outputs of the batch as it is, changed; the model itself is not run."""
        self.plain  # noqa: B018
        remaining = iter(self.returned)
        model, held = self.subject.model, vars(self.subject.model)
        before = held.get("forward")
        model.forward = lambda *_, **__: next(remaining)
        try:
            return self.subject.call(batch, seed=None, change=change).value
        finally:
            del model.forward
            if before is not None:
                model.forward = before

    def with_outputs_exchanged(self, lag: int) -> float:
        """The loss with the outputs of other rows, `lag` places further; lengths stay."""
        rows, lengths = self.rows, self._output_lengths
        assert rows is not None
        order = [(row + lag) % rows.count for row in range(rows.count)]

        def change(name: str, output: Tensor) -> Tensor:
            axis = row_axis(output, rows.count)
            if axis is None or not output.is_floating_point():
                return output
            first = output.movedim(axis, 0)
            steps = next((k for k in range(1, first.dim()) if first.shape[k] in lengths), None)
            own = None if steps is None else lengths[first.shape[steps]]
            return exchange_content(first, order, steps, own).movedim(0, axis)

        return self.with_outputs(self.batch, change)

    def row_losses(self) -> list[float]:
        """The loss of each row alone, from the outputs of the batch; none if rows of outputs are not recognised."""
        rows = self.rows
        if rows is None or any(row_axis(one, rows.count) is None for one in self.plain.outputs.values() if one.dim()):
            return []
        return [self.with_outputs(rows.take([row]), partial(_take_row, row, rows.count)) for row in range(rows.count)]

    @cached_property
    def _output_lengths(self) -> dict[int, Tensor]:
        """Lengths that the model returned or the batch has, by their largest."""
        assert self.rows is not None
        returned = [one for one in self.plain.outputs.values()
                    if one.shape == (self.rows.count,) and not one.is_floating_point()]  # fmt: skip
        return {int(one.max()): one for one in [*self.rows.lengths.values(), *returned] if int(one.min()) >= 0}


def row_axis(output: Tensor, count: int) -> int | None:
    """The first axis, or the second one of time-first outputs."""
    return next((axis for axis in range(min(2, output.dim())) if output.shape[axis] == count), None)


def _take_row(row: int, count: int, name: str, output: Tensor) -> Tensor:
    axis = row_axis(output, count)
    return output if axis is None else output.narrow(axis, row, 1)


def take_view(model: nn.Module, loss: Loss, batch: Any, step: int, steps: int | None, is_held_out: bool) -> View:
    """A view of the first rows of a batch; of all if its rows are not recognised.

    Args:
        model: that is trained.
        loss: called with (model, batch).
        batch: of which rows are taken.
        step: number of the step that comes next.
        steps: of the whole training; None if unknown.
        is_held_out: whether the batch is not trained on.
    """
    try:
        rows = BatchRows(batch)
        used = rows.take(range(ROWS), trim=True) if rows.count > ROWS else batch
    except ValueError:
        used = batch
    return View(step, steps, Subject(model, [used], loss), is_held_out)
