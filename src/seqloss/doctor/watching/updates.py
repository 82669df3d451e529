"""How far a step moves the weights, and whether the decay of weights is stronger than the gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.gradients import Step

TOO_LARGE = 0.2
"""Change relative to the weights: usual trainings stay below 0.03."""

MOST = 24
"""Weights that are compared."""

CODE = """\
before = weight.detach().clone()
optimizer.step()
print((weight - before).norm() / before.norm())
"""


class Updates:
    """Compares weights before and after a step of the optimiser."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.before: list[tuple[str, Tensor, Tensor]] = []
        self.large: list[float] = []

    def begin(self, step: Step) -> Iterator[Finding]:
        """Before the step: keep some weights."""
        self.before = [
            (name, weight, weight.detach().clone())
            for name, weight, gradient in zip(step.names, step.weights, step.handed, strict=True)
            if weight.dim() > 1 and gradient is not None
        ][:MOST]
        yield from self._check_decay(step)

    def _check_decay(self, step: Step) -> Iterator[Finding]:
        decays = {id(weight): float(group.get("weight_decay", 0) or 0)
                  for group in self.optimizer.param_groups for weight in group["params"]}  # fmt: skip
        ratios = [
            decays[id(weight)] * float(weight.detach().norm()) / max(float(gradient.norm()), 1e-30)
            for weight, gradient in zip(step.weights, step.handed, strict=True)
            if gradient is not None and weight.dim() > 1 and not gradient.is_sparse
        ]
        if step.window.number <= 3 and ratios and median(ratios) > 1 and self._adds_decay_to_gradient():
            yield Finding(
                "decay-outweighs-gradient", "warning",
                {"step": step.window.number, "decay pull relative to the gradient": median(ratios)},
                "weight decay pulls more strongly at the weights than the loss does, from the beginning",
                "Use a smaller weight_decay: 0.01 with AdamW, 1e-4 with SGD", CODE,
            )  # fmt: skip

    def _adds_decay_to_gradient(self) -> bool:
        return not any(group.get("decoupled_weight_decay") for group in self.optimizer.param_groups)

    def end(self, number: int) -> Iterator[Finding]:
        """After the step: compare them."""
        ratios = _ratios(self.before)
        self.before = []
        if not ratios:
            return
        self.large = [*self.large, median(ratios)] if median(ratios) > TOO_LARGE else []
        if len(self.large) == 2:
            yield Finding(
                "updates-too-large", "warning", {"step": number, "change relative to the weights": self.large},
                "each step changes the weights by a large share of their size: the learning rate is too high",
                "Divide the learning rate by 10, or let it warm up", CODE,
            )  # fmt: skip


def _ratios(before: Sequence[tuple[str, Tensor, Tensor]]) -> list[float]:
    return [
        float((weight.detach() - kept).norm() / kept.norm())
        for _, weight, kept in before
        if float(kept.norm()) > 0 and bool(weight.isfinite().all())
    ]
