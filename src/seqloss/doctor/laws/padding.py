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
    with torch.no_grad():
        for row in shortest:
            padded, cut = subject.call(rows.take([row])), subject.call(rows.take([row], trim=True))
            if _outputs_agree(padded, cut) and _differ(padded.value, cut.value) and not _is_scale(padded, cut, rows, row):
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
