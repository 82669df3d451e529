"""Whether the same rows have the same loss in training mode without dropout and in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.modes import has_modes
from seqloss.doctor.watching.view import View

WORSE = 2.0

LOOKS = 2

CODE = """\
for mode in (True, False):
    print(mode, loss(model.train(mode), batch))
"""


class TrainAndEval:
    """Compares the two modes."""

    def __init__(self) -> None:
        self.worse = 0

    def look(self, view: View) -> Iterator[Finding]:
        if not view.is_late or not has_modes(view.subject.model):
            return
        with torch.no_grad():
            train = view.subject.call(view.batch, train=True, dropout=False, seed=None).value
        evaluated = view.plain.value
        is_worse = math.isfinite(train) and train > 0 and evaluated > WORSE * train
        self.worse = self.worse + 1 if is_worse else 0
        if self.worse == LOOKS:
            yield Finding(
                "evaluation-differs", "warning", {"step": view.step, "loss in training mode": train,
                                                  "in evaluation mode": evaluated},
                "the same rows have a much higher loss in evaluation mode: running statistics of batch norms are not "
                "those of the batches",
                "Use larger batches, another momentum, or layer norm; update running statistics before evaluation",
                CODE,
            )  # fmt: skip
