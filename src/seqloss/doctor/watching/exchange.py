"""Whether a row's own input gives a lower loss than the inputs of other rows.

    gain = mean over lags of (loss with inputs from rows further on) - loss

It is enough to exchange the outputs, without another call of the model. Inputs are exchanged where the outputs also
depend on targets, as in a decoder that is given the truth, and where the model computes its own loss.

A model that uses its input has a gain above 0, which grows while it learns. A gain that stays at 0 is an input that is
ignored; a lower loss at one lag is a shift between inputs and targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, parts_of, replace_parts
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import outputs_differ
from seqloss.doctor.watching.view import View, row_axis

LAGS = ((1, -1), (1, 2), (-1, -2))
"""Of the looks, in turn."""

NOTHING = 0.03
"""A gain below this share of the loss is none."""

RISING = 3.0
"""A gain that is larger by this factor than at all of the last looks announces the end of a plateau."""

LOOKS = 3
"""Looks in a row with the same sign of trouble."""

SHIFTED = 0.7
"""Loss with shifted inputs relative to the loss with its own."""

CODE = """\
with torch.no_grad():
    print(loss(model, (inputs, targets)), loss(model, (inputs.roll(1, 0), targets)))
"""


class Exchange:
    """Exchanges inputs between rows and compares losses."""

    def __init__(self) -> None:
        self.inputs: frozenset[Path] | None = None
        self.gains: list[float] = []
        self.shifts: dict[int, int] = {}
        self.looks = 0
        self.learns = False

    @property
    def is_rising(self) -> bool:
        """Whether the model begins to use its input."""
        *before, last = self.gains[-LOOKS - 1 :] or [0.0]
        return last > RISING * max(map(abs, before), default=math.inf)

    def look(self, view: View) -> Iterator[Finding]:
        if view.rows is None or not view.outputs:
            return
        if self.inputs is None:
            self.inputs = _inputs_to_exchange(view, view.rows)
        own = view.plain.value
        losses = {}
        for lag in self._lags(view):
            found = view.exchanged(self.inputs, lag) if self.inputs else view.with_outputs_exchanged(lag)
            if math.isfinite(found):
                losses[lag] = found
        self.looks += 1
        if not losses or not math.isfinite(own):
            return
        gain = (sum(losses.values()) / len(losses) - own) / max(abs(own), 1e-30)
        self.gains.append(gain)
        self.learns = self.learns or gain > 0.1
        evidence = {"step": view.step, "loss": own, "loss with inputs of other rows": losses[next(iter(losses))]}
        yield from self._check_shift(view, own, losses, evidence)
        recent = self.gains[-LOOKS:]
        if (view.is_late and len(recent) == LOOKS and all(abs(one) < NOTHING for one in recent)
                and not self.is_rising and not self.learns):  # fmt: skip
            yield Finding(
                "input-not-used", "error", evidence | {"gain at the last looks": recent},
                "with the inputs of other rows, the loss is the same: the model has learnt nothing from its input",
                "Check that inputs and targets belong together, that the path from input to output is not cut, and "
                "the learning rate; seqloss.doctor.examine tries the paths",
                CODE,
            )  # fmt: skip

    def _lags(self, view: View) -> tuple[int, ...]:
        """One where the model has to be called. All of them in the end: hard rows and hard targets then cancel out."""
        assert view.rows is not None
        if self.inputs:
            return LAGS[self.looks % len(LAGS)][:1]
        return tuple(range(1, view.rows.count)) if view.is_late else LAGS[self.looks % len(LAGS)]

    def _check_shift(
        self, view: View, own: float, losses: dict[int, float], evidence: dict[str, Any]
    ) -> Iterator[Finding]:
        best = min(losses, key=lambda lag: losses[lag])
        is_shifted = 0 < losses[best] < SHIFTED * own
        self.shifts[best] = self.shifts.get(best, 0) + 1 if is_shifted else 0
        if self.shifts[best] == 2:
            yield Finding(
                "pairs-shifted", "error", evidence | {"rows": best, "loss with this shift": losses[best]},
                "the loss is lower with the inputs of another row: inputs and targets are shifted against each other",
                "Check how inputs and targets are paired: a header line, a row left out of one of them, sorting", CODE,
            )  # fmt: skip


def _inputs_to_exchange(view: View, rows: BatchRows) -> frozenset[Path] | None:
    """None if that cannot be told yet; none if outputs can be exchanged."""
    if _are_same_for_all_rows(view, rows):  # an output layer that begins with 0
        return None
    inputs = _inputs(view, rows)
    targets = frozenset(path for path in inputs if _is_target(view, rows, path))
    if inputs - targets and (targets or view.with_outputs_exchanged(1) == view.plain.value):
        return inputs - targets
    return frozenset()


def _are_same_for_all_rows(view: View, rows: BatchRows) -> bool:
    return all(
        bool((one == one.narrow(axis, 0, 1)).all())
        for one in view.outputs.values()
        if (axis := row_axis(one, rows.count)) is not None
    )


def _inputs(view: View, rows: BatchRows) -> frozenset[Path]:
    """The parts of a batch on which the outputs depend, without lengths."""
    found = set()
    turned = parts_of(rows.take([*range(1, rows.count), 0]))
    for path, part in rows.parts.items():
        if (
            not isinstance(part, Tensor)
            or path in rows.concatenated
            or torch.equal(part, turned[path])
            or rows.is_length(path)
        ):
            continue
        changed = replace_parts(view.batch, {path: turned[path]})
        outputs = view.subject.outputs_before_loss(changed)
        plain = view.plain.outputs
        if outputs.keys() != plain.keys() or outputs_differ(plain, outputs):
            found.add(path)
    return frozenset(found)


def _is_target(view: View, rows: BatchRows, path: Path) -> bool:
    """Whether the loss of the same outputs is another one with this part of other rows."""
    part = rows.parts[path]
    assert isinstance(part, Tensor)
    order = [*range(1, rows.count), 0]
    return view.with_outputs(replace_parts(view.batch, {path: rows.take_content(part, order)})) != view.plain.value
