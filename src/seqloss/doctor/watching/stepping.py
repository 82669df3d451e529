"""Whether the optimiser steps at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from seqloss.doctor.findings import Finding

DISCARDED = 16
"""Gradients in a row that are thrown away before the first step; fewer can be an accumulation that is lost."""

LEAST = 3
"""Gradients of a training that ends without a step."""

LATER_DISCARDED = 20
"""The same after it: a loop may leave out steps on purpose."""

UNSEEN = 1000
"""Gradients that are added up without a step; more are hardly accumulated."""

SKIPPED = 20
"""Steps after which the share of skipped ones is judged."""

CODE = """\
optimizer.register_step_post_hook(lambda *_: print("step"))
"""


class Stepping:
    """Counts gradients that no step of the optimiser uses.

    Args:
        has_scaler: whether the loss is scaled, so that steps are skipped.
    """

    def __init__(self, has_scaler: bool) -> None:
        self.has_scaler = has_scaler
        self.calls = self.discarded = self.in_a_row = self.skipped = self.steps = 0

    def stepped(self) -> None:
        """The optimiser takes a step."""
        self.calls = self.discarded = self.in_a_row = 0
        self.steps += 1

    def is_discarded(self, weights: Sequence[Tensor], may_wait: bool) -> bool:
        """Whether the gradients of the last call were set to 0 without a step; asked before the next call."""
        if any(weight.grad is not None and (_is_any(weight.grad) if may_wait else True) for weight in weights):
            self.in_a_row = 0
            return False
        self.discarded += 1
        self.in_a_row += 1
        self.skipped += 1
        return True

    def check(self, number: int) -> Iterator[Finding]:
        """Another gradient was computed, and no step followed."""
        self.calls += 1
        if self.has_scaler:
            yield from self._check_skipped(number)
        elif self.in_a_row == (LATER_DISCARDED if self.steps else DISCARDED) or self.calls == UNSEEN:
            yield self._not_stepped(number)

    def at_end(self, number: int) -> Iterator[Finding]:
        if not self.steps and self.calls >= LEAST and not self.has_scaler:
            yield self._not_stepped(number)

    def _not_stepped(self, number: int) -> Finding:
        return Finding(
            "optimizer-not-stepped", "error", {"step": number, "gradients without a step": self.calls},
            "gradients are computed again and again, and the optimiser does not step: the weights stay as they are",
            "Call optimizer.step() after backward(); scheduler.step() changes the learning rate only. To "
            "accumulate, leave out zero_grad() between the batches",
            CODE,
        )  # fmt: skip

    def _check_skipped(self, number: int) -> Iterator[Finding]:
        if self.skipped > SKIPPED / 2 and self.skipped + self.steps <= SKIPPED:
            yield Finding(
                "steps-skipped", "error", {"step": number, "skipped": self.skipped, "of": SKIPPED},
                "most steps are skipped, because gradients in half precision are not finite at any scale",
                "Compute the loss, softmax and norms in float32, or use bfloat16",
                "print(scaler.get_scale())",
            )  # fmt: skip


def _is_any(gradient: Tensor) -> bool:
    return bool((gradient.coalesce().values() if gradient.is_sparse else gradient).any())
