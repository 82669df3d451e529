"""The loss of a row is the same with its padding and without."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from seqloss.doctor.batch_rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import common_part, largest_difference, tolerance
from seqloss.doctor.subject import Call, NotChecked, Subject

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
    if not rows.has_padded_axes or rows.padded_share == 0:
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
        for row in shortest:
            padded, cut = subject.call(rows.take([row])), subject.call(rows.take([row], trim=True))
            if (
                _outputs_agree(padded, cut)
                and _differ(padded.value, cut.value)
                and not _is_scale(padded, cut, rows, row)
            ):
                yield Finding(
                    "padding-in-loss", "error",
                    {"row": row, "loss with its padding": padded.value, "without": cut.value},
                    "the loss of a row changes with its padding, while its outputs do not: padded targets, or scores "
                    "past the length, count",
                    "Mask the loss by the lengths, pad targets with ignore_index, and leave padding out of label "
                    "smoothing and of means",
                    CODE,
                )  # fmt: skip
                return


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
        own = (part >= 0).sum(1).to(lengths)
        if len(lengths.unique()) < LEAST or not bool((part < 0).any()):
            continue
        agree = [n for n in range(rows.count) if torch.equal(own, lengths.roll(n))]
        if agree and 0 not in agree:
            return agree[0]
    return 0
