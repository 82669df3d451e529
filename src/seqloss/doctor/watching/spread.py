"""Whether outputs differ between rows and steps as targets do: the average is predicted, or embeddings collapse."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.view import View

AVERAGE = 0.25
"""Standard deviation of predictions relative to that of targets: a model that has begun to learn is above."""

COLLAPSED = 1e-3
"""Spread of embeddings over rows relative to their norm."""

LOOKS = 3

CODE = """\
print(outputs.std(0).mean(), targets.std(0).mean())
"""


class Spread:
    """Follows the spread of outputs over rows."""

    def __init__(self) -> None:
        self.narrow: list[float] = []
        self.first: float | None = None

    def look(self, view: View) -> Iterator[Finding]:
        if view.rows is None:
            return
        for name, output in view.outputs.items():
            target = _target(view, output)
            if target is not None:
                yield from self._check_average(view, name, output, target)
                return
        embeddings = next((one for one in view.outputs.values() if one.dim() == 2 and one.shape[1] > 1), None)
        if embeddings is not None and len(view.outputs) == 1:
            yield from self._check_collapse(view, embeddings)

    def _check_average(self, view: View, name: str, output: Tensor, target: Tensor) -> Iterator[Finding]:
        ratio = _deviation(output) / max(_deviation(target), 1e-30)
        self.narrow = [*self.narrow, ratio] if ratio < AVERAGE else []
        if view.is_late and len(self.narrow) >= LOOKS:
            yield Finding(
                "predicts-the-average", "error",
                {"step": view.step, "output": name, "deviation of outputs relative to targets": self.narrow[-LOOKS:]},
                "outputs hardly differ between rows: the model predicts the average of the targets",
                "Check that targets and outputs have the same shape in the loss (nothing is broadcast), that the "
                "model is large enough, and the path from input to output",
                CODE,
            )  # fmt: skip

    def _check_collapse(self, view: View, embeddings: Tensor) -> Iterator[Finding]:
        spread = float((embeddings - embeddings.mean(0)).norm() / embeddings.norm().clamp(min=1e-30))
        self.first = spread if self.first is None else self.first
        if view.step > 1 and spread < COLLAPSED and spread < 0.1 * self.first:
            yield Finding(
                "embeddings-collapsed", "error",
                {"step": view.step, "spread of rows relative to their norm": spread, "at the first look": self.first},
                "all rows have the same embedding: a loss of pairs is then at its margin, and has no gradient that "
                "separates them",
                "Use a smaller learning rate; begin with all triplets, not the hardest; check labels of equal and "
                "different pairs",
                "embeddings = model(batch)\nprint((embeddings - embeddings.mean(0)).norm() / embeddings.norm())",
            )  # fmt: skip


def _target(view: View, output: Tensor) -> Tensor | None:
    """A part of the batch with the shape of the output, or with as many numbers."""
    assert view.rows is not None
    return next(
        (
            part for part in reversed(list(view.rows.parts.values()))
            if isinstance(part, Tensor) and part.is_floating_point() and part.dim() > 0
            and part.squeeze().shape == output.squeeze().shape
        ),
        None,
    )  # fmt: skip


def _deviation(tensor: Tensor) -> float:
    """Around the mean of each entry over the rows."""
    return float((tensor - tensor.mean(0)).double().square().mean().sqrt()) if torch.is_tensor(tensor) else 0.0
