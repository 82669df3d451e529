"""A loss of scores for yes or no gets scores, not the results of a sigmoid.

Such a loss (binary cross-entropy with logits, a hinge) pushes each score one way: where it is far on the right side,
its gradient is 0. A distance from a target (squares, absolute values) pushes from both sides.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.last_layer import scaled_last_layer
from seqloss.doctor.subject import NotChecked, Subject

FACTOR = 1e3
"""Of the last layer's weights: what then stays between 0 and 1 went through a sigmoid."""

FAR = 60.0
"""A score that is far on one side."""

SMALL = 1e-6
"""A gradient that is 0 but for rounding, relative to the largest one."""


def check(subject: Subject) -> Iterator[Finding]:
    found = False
    for train in (False, True):
        for name in _between_0_and_1(subject, train):
            found = True
            if _pushes_one_way(subject, name, train):
                yield Finding(
                    "softmax-twice", "error", {"output": name, "mode": "training" if train else "evaluation"},
                    "the model's outputs are between 0 and 1, and the loss takes each as a score before the sigmoid: "
                    "the largest and the smallest possible score are then 1 apart",
                    "Remove the sigmoid at the end of the model, or take a loss of probabilities",
                    "print(model(batch).min(), model(batch).max())  # before binary_cross_entropy_with_logits",
                )  # fmt: skip
                return
    if not found:
        raise NotChecked("the outputs are not between 0 and 1")


def _between_0_and_1(subject: Subject, train: bool) -> list[str]:
    """Names of outputs that stay there with huge weights of either sign."""
    found: set[str] | None = None
    for factor in (1.0, FACTOR, -FACTOR):
        with scaled_last_layer(subject, factor) as is_scaled, torch.no_grad():
            outputs = subject.call(subject.batches[0], train=train, dropout=False).outputs
        if not is_scaled:
            return []
        inside = {name for name, x in outputs.items() if _is_between_0_and_1(x)}
        found = inside if found is None else found & inside
    return sorted(found or ())


def _is_between_0_and_1(x: Tensor) -> bool:
    return x.is_floating_point() and x.numel() > 1 and bool(((x >= 0) & (x <= 1)).all()) and bool((x != 0).any())


def _pushes_one_way(subject: Subject, name: str, train: bool) -> bool:
    up, down = (_gradient(subject, name, score, train) for score in (FAR, -FAR))
    if up is None or down is None or not bool((up.isfinite() & down.isfinite()).all()):
        return False
    least = SMALL * float(torch.maximum(up.abs().max(), down.abs().max()))
    above, below = up.abs() > least, down.abs() > least
    return bool(above.any() | below.any()) and not bool((above & below).any())


def _gradient(subject: Subject, name: str, score: float, train: bool) -> Tensor | None:
    """Of the loss by an output that is one number everywhere; None if the loss refuses it."""
    leaves: list[Tensor] = []

    def change(key: str, x: Tensor) -> Tensor:
        if key != name:
            return x
        leaves.append(torch.full_like(x, score).requires_grad_())
        return leaves[-1]

    try:
        loss = subject.call(subject.batches[0], train=train, dropout=False, change=change).loss
        return torch.autograd.grad(loss, leaves[0], allow_unused=True)[0] if loss.requires_grad and leaves else None
    except (RuntimeError, ValueError):  # such as binary_cross_entropy, which takes probabilities only
        return None
