"""The loss of a batch in which each row occurs twice: the same for a mean, and twice as large for a sum."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import tolerance
from seqloss.doctor.subject import NotChecked, Subject

CODE = """\
twice = tuple(torch.cat([part, part]) for part in batch)
print(loss(model, batch), loss(model, twice))  # the same for a mean
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows()
    with torch.no_grad():
        once = subject.call_and_see(rows.batch)
        twice = subject.call(rows.take([*range(rows.count)] * 2)).value
    if not once.value:
        raise NotChecked("the loss is 0")
    ratio = twice / once.value
    evidence = {"loss": once.value, "loss with each row twice": twice, "rows": rows.count}
    if abs(ratio - 2) <= tolerance(once.outputs):
        yield Finding(
            "loss-grows-with-batch", "note", evidence,
            "the loss is a sum over the rows of the batch: gradients grow with the size of the batch, and a learning "
            "rate or a clipping norm fits one size only",
            "Divide by the number of rows, or of real positions", CODE,
        )  # fmt: skip
    elif abs(ratio - 0.5) <= tolerance(once.outputs):
        yield Finding(
            "loss-shrinks-with-batch", "error", evidence,
            "the loss is divided by the size of the batch twice: a mean is divided again",
            "Remove one of the two divisions", CODE,
        )  # fmt: skip
