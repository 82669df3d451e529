"""The loss of a row is the same with its padding and without."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.batches.padding_cuts import find_cuts_of_batches
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import common_part, largest_difference, tolerance
from seqloss.doctor.subject import Call, NotChecked, Subject
from seqloss.doctor.targets import are_labels_outside

ROUNDING = 1e-4

LEAST = 4
"""Different lengths in a batch, so that they are not the same in another order by chance."""

MOST = 2
"""Rows that are tried, those with the most padding first."""

CODE = """\
length = lengths[0]
print(loss(model, (inputs[:1], lengths[:1], targets[:1])))
print(loss(model, (inputs[:1, :length], lengths[:1], targets[:1, :length])))  # must be equal
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows()
    trailing = find_cuts_of_batches(subject.rows_of_batches())
    if (not rows.has_padded_axes or rows.padded_share == 0) and not trailing:
        raise NotChecked("the first batch has no padding")
    lengths = rows.lengths_of(rows.longest)
    shortest = [] if lengths is None else lengths.argsort()[:MOST].tolist()
    lag = _lag(rows)
    if lag:
        yield Finding(
            "pairs-shifted", "error", {"rows": lag},
            f"the targets have the lengths of the inputs {lag} rows before them: inputs and targets of other rows are "
            "paired",
            "Sort, shuffle and cut inputs and targets together", "print(lengths, (targets >= 0).sum(1))",
        )  # fmt: skip
        return
    with torch.no_grad():
        batches = [(row, rows.take([row]), rows.take([row], trim=True)) for row in shortest]
        for row, whole, shorter in [*batches, *trailing]:
            padded, cut = subject.call(whole), subject.call(shorter)
            if not _outputs_agree(padded, cut):
                continue
            changed = _with_other_scores(subject, whole, padded, cut)
            differs = _differ(padded.value, cut.value) and not _is_scale(padded, cut, rows, row)
            if differs or _differ(padded.value, changed):
                if are_labels_outside(subject, subject.call(rows.batch).outputs):
                    raise NotChecked("labels are no classes of the outputs; mend that first")
                yield Finding(
                    "padding-in-loss", "error",
                    {"row": row, "loss with its padding": padded.value, "without": cut.value,
                     "with other outputs in its padding": changed},
                    "the loss of a row changes with its padding, while its outputs do not: padded targets, or scores "
                    "past the length, count",
                    "Mask the loss by the lengths, pad targets with ignore_index, and leave padding out of label "
                    "smoothing and of means",
                    CODE,
                )  # fmt: skip
                return


def _with_other_scores(subject: Subject, whole: object, padded: Call, cut: Call) -> float:
    """The loss of a row when its largest output has other numbers in steps that the row without padding has not.

    A model that masks its outputs there is right, whatever the loss does with them.
    """
    longer = {name: axes[0] for name, x in padded.outputs.items() if x.is_floating_point() and name in cut.outputs
              and len(axes := _longer_axes(x, cut.outputs[name])) == 1}  # fmt: skip
    if not longer:
        return padded.value
    name = max(longer, key=lambda one: padded.outputs[one].numel())
    size = cut.outputs[name].shape[longer[name]]
    given = _past(padded.outputs[name], longer[name], size)
    if not (given.isfinite() & (given != 0)).any():
        return padded.value

    def change(key: str, x: Tensor) -> Tensor:
        if key != name:
            return x
        found = x.clone()
        past = _past(found, longer[name], size)
        past += torch.randn(past.shape, generator=torch.Generator().manual_seed(0)).to(past)
        return found

    return subject.call(whole, change=change).value


def _past(x: Tensor, axis: int, size: int) -> Tensor:
    return x.narrow(axis, size, x.shape[axis] - size)


def _longer_axes(one: Tensor, other: Tensor) -> list[int]:
    """Axes on which the first of two tensors of one rank has more entries; none if it has fewer on another."""
    if one.dim() != other.dim() or any(a < b for a, b in zip(one.shape, other.shape, strict=True)):
        return []
    return [axis for axis in range(one.dim()) if one.shape[axis] > other.shape[axis]]


def _outputs_agree(padded: Call, cut: Call) -> bool:
    """On what they have in common; else another law names it."""
    return padded.outputs.keys() == cut.outputs.keys() and all(
        largest_difference(*common_part(padded.outputs[name], x)) <= tolerance(cut.outputs)
        for name, x in cut.outputs.items() if x.is_floating_point()
    )  # fmt: skip


def _differ(one: float, other: float) -> bool:
    return math.isfinite(one) and math.isfinite(other) and abs(one - other) > ROUNDING * max(abs(one), abs(other), 1e-6)


def _is_scale(padded: Call, cut: Call, rows: BatchRows, row: int) -> bool:
    """A sum over valid steps that is divided by the number of all steps: a matter of taste."""
    sizes = {(a, b) for name, x in cut.outputs.items() if padded.outputs[name].dim() == x.dim()
             for a, b in zip(padded.outputs[name].shape, x.shape, strict=True) if a != b}  # fmt: skip
    sizes |= {(rows.longest, int(lengths[row])) for lengths in [rows.lengths_of(rows.longest)] if lengths is not None}
    return any(math.isclose(padded.value * a, cut.value * b, rel_tol=1e-3) for a, b in sizes)


def _lag(rows: BatchRows) -> int:
    """By how many rows targets that are padded with negative numbers are shifted; 0 if their lengths are those of their
    own rows, or of none."""
    for part in rows.parts.values():
        axis = rows.padded_axis(part)
        lengths = None if axis is None else rows.lengths_of(part.shape[axis])
        if lengths is None or part.dim() != 2 or part.is_floating_point() or part.dtype == torch.bool:
            continue
        own = (rows.rows_first(part) >= 0).sum(1).to(lengths)
        if len(lengths.unique()) < LEAST or not bool((part < 0).any()):
            continue
        agree = [n for n in range(rows.count) if torch.equal(own, lengths.roll(n))]
        if agree and 0 not in agree:
            return agree[0]
    return 0
