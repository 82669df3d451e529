"""The loss compares each row's outputs with its own targets: exchanging the targets of rows changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, name_part, parts_of, replace_parts
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import outputs_differ, relative_difference
from seqloss.doctor.subject import NotChecked, Subject

SAME = 1e-6
"""Relative difference of losses that differ by rounding only: a mean of float32 in another order is some ulp off."""

CODE = """\
print(loss(model, (inputs, targets)))
print(loss(model, (inputs, targets.roll(1, dims=0))))  # must differ
"""


def check(subject: Subject) -> Iterator[Finding]:
    found = list(_check(subject))
    if found:  # equal outputs in all rows, of a last layer of 0, are another only after a step
        with torch.no_grad():
            subject.step_dry()
        yield from _check(subject)


def _check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows(least=2)
    turned, first = parts_of(rows.take([*range(1, rows.count), 0])), parts_of(rows.take([0] * rows.count))
    with torch.no_grad():
        plain = subject.call_and_see(rows.batch)
        targets = [path for path in turned if _may_be_target(subject, path, turned, plain.outputs)]
        if not targets:
            raise NotChecked("no part of the batch was recognised as targets")
        equal = subject.call(replace_parts(rows.batch, {path: first[path] for path in targets})).value
        if relative_difference(equal, plain.value) <= SAME:
            raise NotChecked("the loss is the same with the first row's targets in all rows")
        exchanged = subject.call(replace_parts(rows.batch, {path: turned[path] for path in targets})).value
    if relative_difference(exchanged, plain.value) <= SAME:
        yield Finding(
            "targets-not-paired", "error",
            {"loss": plain.value, "loss with targets of other rows": exchanged,
             "targets": list(map(name_part, targets))},
            "the loss is the same with the targets of other rows: it compares each output with all targets, because "
            "shapes such as (N, 1) and (N,) are broadcast",
            "Give outputs and targets the same shape before the loss; look for warnings on target size", CODE,
        )  # fmt: skip


def _may_be_target(subject: Subject, path: Path, turned: Mapping[Path, Any], outputs: Mapping[str, Tensor]) -> bool:
    """Whether a tensor has other values in other rows, and the outputs stay as they are without this row's own."""
    part = subject.rows().parts[path]
    if not isinstance(part, Tensor) or torch.equal(part, turned[path]):
        return False
    found = subject.outputs_before_loss(replace_parts(subject.batches[0], {path: turned[path]}))
    return found.keys() == outputs.keys() and outputs_differ(outputs, found) is None
