"""Whether the optimiser steps at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from seqloss.doctor.findings import Finding

DISCARDED = 3
"""Gradients in a row that are thrown away without a step."""

UNSEEN = 64
"""Calls of the loss without a step of the optimiser; more are rarely accumulated."""

SKIPPED = 20
"""Steps after which the share of skipped ones is judged."""

CODE = """\
optimizer.register_step_post_hook(lambda *_: print("step"))
"""


class Stepping:
    """Counts gradients that no step of the optimiser uses."""

    def __init__(self, has_scaler: bool) -> None:
        self.has_scaler = has_scaler
        self.calls = self.discarded = self.skipped = self.steps = 0

    def stepped(self, number: int) -> Iterator[Finding]:
        """The optimiser takes a step."""
        if self.discarded and not self.has_scaler:
            yield Finding(
                "accumulated-gradients-lost", "error", {"step": number, "batches without effect": self.discarded},
                "only the last batch's gradient reaches the optimiser: those of the batches before are set to 0",
                "When gradients are accumulated, call zero_grad() only after step()", CODE,
            )  # fmt: skip
        self.calls = self.discarded = 0
        self.steps += 1

    def is_discarded(self, weights: Sequence[Tensor]) -> bool:
        """Whether the gradients of the last call were set to 0 without a step; asked before the next call."""
        if any(weight.grad is not None and bool(weight.grad.any()) for weight in weights):
            return False
        self.discarded += 1
        self.skipped += 1
        return True

    def check(self, number: int) -> Iterator[Finding]:
        """The loss is about to be called."""
        self.calls += 1
        if self.has_scaler:
            yield from self._check_skipped(number)
        elif self.discarded == DISCARDED or self.calls == UNSEEN:
            yield Finding(
                "optimizer-not-stepped", "error", {"step": number, "calls of the loss without a step": self.calls - 1},
                "the loss is computed again and again, and the optimiser does not step: the weights stay as they are",
                "Call optimizer.step() after backward(); scheduler.step() changes the learning rate only. To "
                "accumulate, leave out zero_grad() between the batches. Compute an evaluation under torch.no_grad()",
                CODE,
            )  # fmt: skip

    def _check_skipped(self, number: int) -> Iterator[Finding]:
        if self.skipped + self.steps == SKIPPED and self.skipped > 0.5 * SKIPPED:
            yield Finding(
                "steps-skipped", "error", {"step": number, "skipped": self.skipped, "of": SKIPPED},
                "most steps are skipped, because gradients in half precision are not finite at any scale",
                "Compute the loss, softmax and norms in float32, or use bfloat16",
                "print(scaler.get_scale())",
            )  # fmt: skip
