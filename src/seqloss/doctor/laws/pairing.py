"""The loss compares each row's outputs with its own targets: exchanging the targets of rows changes it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.batch_rows import Path, map_batch, parts_of
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import largest_difference, tolerance
from seqloss.doctor.laws.law import NotChecked
from seqloss.doctor.subject import Subject

CODE = """\
print(loss(model, (inputs, targets)))
print(loss(model, (inputs, targets.roll(1, dims=0))))  # must differ
"""


def check(subject: Subject) -> Iterator[Finding]:
    try:
        rows = subject.rows()
    except ValueError as error:
        raise NotChecked(str(error)) from None
    if rows.count < 2:
        raise NotChecked("the first batch has one row")
    turned = parts_of(rows.take([*range(1, rows.count), 0]))
    with torch.no_grad():
        plain = subject.call(rows.batch)
        if not plain.outputs:
            raise NotChecked("the loss does not call the model itself, so that its outputs are not seen")
        targets = [path for path in turned if _is_target(subject, path, turned, plain.outputs)]
        if not targets:
            raise NotChecked("no part of the batch was recognised as targets")
        if all(_same(turned[path], rows.parts[path]) for path in targets):
            raise NotChecked("all rows of the first batch have the same targets")
        exchanged = subject.call(_exchange(rows.batch, turned, targets)).value
    difference = abs(exchanged - plain.value) / max(abs(plain.value), 1e-30)
    if difference <= 1e-7:
        yield Finding(
            "targets-not-paired", "error",
            {"loss": plain.value, "loss with targets of other rows": exchanged, "targets": list(map(_name, targets))},
            "the loss is the same with the targets of other rows: it compares each output with all targets, because "
            "shapes such as (N, 1) and (N,) are broadcast, or it does not use the targets",
            "Give outputs and targets the same shape before the loss; look for warnings on target size", CODE,
        )  # fmt: skip


def _is_target(subject: Subject, path: Path, turned: dict[Path, object], outputs: object) -> bool:
    """Whether the outputs stay as they are without this part's own rows."""
    part = subject.rows().parts[path]
    if not isinstance(part, Tensor) or _same(part, turned[path]):
        return False
    try:
        found = subject.call(_exchange(subject.batches[0], turned, [path])).outputs
    except Exception:
        return False  # the lengths of other rows do not fit, for example
    assert isinstance(outputs, dict)
    return all(largest_difference(found[name], tensor) <= tolerance(outputs)
               for name, tensor in outputs.items() if tensor.is_floating_point())  # fmt: skip


def _exchange(batch: object, turned: dict[Path, object], paths: list[Path]) -> object:
    return map_batch(batch, lambda path, part: turned[path] if path in paths else part)


def _same(one: object, other: object) -> bool:
    return (
        isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape and torch.equal(one, other)
    )


def _name(path: Path) -> str:
    return ".".join(map(str, path)) or "batch"
