"""Gradients that are set to 0 too often, at each step and not now and then, or never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seqloss.doctor.findings import Finding

STEPS = 3
"""In a row: a step is also left out after a loss that is not finite, or at the end of an epoch."""

CODE = """\
for number, batch in enumerate(batches, 1):
    (loss(model, batch) / 4).backward()
    if number % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
"""


def not_zeroed(evidence: Mapping[str, Any]) -> Finding:
    return Finding(
        "gradients-not-zeroed", "error", evidence,
        "the gradient is the sum of this step's and of the steps before: it is not set to 0",
        "Call optimizer.zero_grad() before backward()", "optimizer.zero_grad()\nloss(model, batch).backward()",
    )  # fmt: skip


class Lost:
    """Follows how many batches have no effect on a step.

    Attributes:
        batches: without effect on the step that is looked at.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.batches = 0

    def look(self, step: int) -> Iterator[Finding]:
        """One step that was looked at."""
        batches = self.batches
        self.counts = [*self.counts, batches][-STEPS:]
        if batches and len(self.counts) == STEPS and len(set(self.counts)) == 1:
            yield Finding(
                "accumulated-gradients-lost", "error", {"step": step, "batches without effect": batches},
                "only the last batch's gradient reaches the optimiser: those of the batches before are set to 0",
                "When gradients are accumulated, call zero_grad() only after step()", CODE,
            )  # fmt: skip
