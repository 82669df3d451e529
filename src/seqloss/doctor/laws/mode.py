"""Two passes in evaluation mode agree, and layers follow the mode of the model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import outputs_differ
from seqloss.doctor.laws.loss import are_log_probabilities, are_probabilities
from seqloss.doctor.snapshot import unchanged
from seqloss.doctor.subject import Call, Subject

CODE = """\
model.eval()
first, second = model(batch), model(batch)
print((first - second).abs().max())
"""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        first, second = (subject.call(subject.batches[0], model_seed=seed) for seed in (0, 1))
    differ = outputs_differ(first.outputs, second.outputs)
    if differ:
        yield Finding(
            "evaluation-is-random", "error", {"output": differ[0], "relative difference": differ[1]},
            "two passes of one batch in evaluation mode differ: dropout or noise is not switched off",
            "Use nn.Dropout, or pass training=self.training to functional.dropout; keep noise to self.training", CODE,
        )  # fmt: skip
    yield from _check_kinds(subject, first)
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


def _check_kinds(subject: Subject, evaluation: Call) -> Iterator[Finding]:
    """Scores in one mode and probabilities in the other: the loss is wrong in one of them."""
    with torch.no_grad(), unchanged(subject.model):
        training = subject.call(subject.batches[0], train=True, dropout=False)
    for name in evaluation.outputs.keys() & training.outputs.keys():
        kinds = [_kind(call.outputs[name]) for call in (evaluation, training)]
        if kinds[0] != kinds[1]:
            yield Finding(
                "outputs-differ-between-modes", "error",
                {"output": name, "in evaluation mode": kinds[0], "in training mode": kinds[1]},
                "the model ends with a softmax in one mode only, and the loss is the same in both",
                "Return scores in both modes, and apply the softmax where probabilities are read", CODE,
            )  # fmt: skip
            return


def _kind(x: Tensor) -> str:
    if not x.is_floating_point() or x.dim() < 2 or x.shape[-1] < 2:
        return "numbers"
    if are_probabilities(x.detach().double()):
        return "probabilities"
    return "log-probabilities" if are_log_probabilities(x.detach().double()) else "numbers"
