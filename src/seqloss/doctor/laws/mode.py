"""Two passes in evaluation mode agree, and layers follow the mode of the model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import outputs_differ
from seqloss.doctor.subject import Subject

CODE = """\
model.eval()
first, second = model(batch), model(batch)
print((first - second).abs().max())
"""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        first, second = (subject.call(subject.batches[0], seed=seed) for seed in (0, 1))
    differ = outputs_differ(first.outputs, second.outputs)
    if differ:
        yield Finding(
            "evaluation-is-random", "error", {"output": differ[0], "relative difference": differ[1]},
            "two passes of one batch in evaluation mode differ: dropout or noise is not switched off",
            "Use nn.Dropout, or pass training=self.training to functional.dropout; keep noise to self.training", CODE,
        )  # fmt: skip
    subject.model.eval()
    awake = [name for name, module in subject.model.named_modules() if module.training]
    subject.model.train()
    asleep = [
        name for name, module in subject.model.named_modules()
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 and not module.training
    ]  # fmt: skip
    for found, mode, other in ((awake, "evaluation", "training"), (asleep, "training", "evaluation")):
        if found:
            yield Finding(
                f"layers-stay-in-{other}", "error", {"layers": found},
                f"after the model is set to {mode}, these layers are still in {other} mode: train() is overridden, or "
                "the layers are not registered as modules",
                "Call super().train(mode) in train(), and keep layers as attributes or in nn.ModuleList", CODE,
            )  # fmt: skip
