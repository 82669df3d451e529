"""The loss of class scores: unchanged by a constant, never negative, and near that of uniform outputs at first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.final_outputs import final_outputs
from seqloss.doctor.findings import Finding
from seqloss.doctor.last_layer import scaled_last_layer
from seqloss.doctor.subject import Change, NotChecked, Subject

SHIFT = 1.0
SUMS = 1e-3
"""How far probabilities of one frame may be from 1 together."""

LARGE, OF_ONE = 1e4, 0.05
"""Factor of the last layer's weights, and how far the probabilities of a frame may then be from those of one class."""

TOO_HIGH = 5.0
"""The first loss over that of uniform outputs: random weights of the usual size stay below 2."""


def check(subject: Subject) -> Iterator[Finding]:
    batch = subject.batches[0]
    with torch.no_grad():
        plain = subject.call(batch)
        scores = _scores(final_outputs(subject))
        if scores is None:
            raise NotChecked("the model returns no tensor with an axis of classes")
        if not math.isfinite(plain.value):
            yield Finding(
                "loss-not-finite", "error", {"loss": plain.value},
                "the first loss is not finite: targets do not fit their frames, labels are outside of the classes, or "
                "outputs are not finite",
                "Check lengths and labels of this batch: seqloss.torch.ctc_check names the rows of CTC",
                "print(loss(model, batch))",
            )  # fmt: skip
            return
        once, twice = (_shifted(subject, scores, by) - plain.value for by in (SHIFT, 2 * SHIFT))
        if not all(map(math.isfinite, (once, twice))):
            raise NotChecked("the loss with a constant added to the outputs is not finite")
        tensor = plain.outputs[scores].detach().double()
        ignores_constant = abs(once) <= 1e-4 * max(1.0, abs(plain.value))
        if ignores_constant and are_probabilities(tensor):
            yield Finding(
                "softmax-twice", "error",
                {"output": scores, "loss": plain.value, "loss with 1 added to all scores": plain.value + once},
                "the model returns probabilities, and the loss normalises them again: the largest and the smallest "
                "possible score of a class are then 1 apart",
                "Remove the softmax at the end of the model", _code(scores),
            )  # fmt: skip
        elif are_log_probabilities(tensor) and _are_of_probabilities(subject, scores):
            yield Finding(
                "softmax-twice", "error",
                {"output": scores, "loss": plain.value, "largest difference of scores with huge weights": 1.0},
                "the model takes the log_softmax of probabilities: the largest and the smallest possible score of a "
                "class are then 1 apart, whatever the weights are",
                "Remove the softmax before the log_softmax", _code(scores),
            )  # fmt: skip
        linear = abs(twice - 2 * once) <= 1e-3 * abs(once)
        if not ignores_constant and linear and once < 0 and not are_log_probabilities(tensor):
            yield Finding(
                "scores-not-normalized", "error",
                {"output": scores, "loss": plain.value, "after adding 1 to all scores": plain.value + once},
                "a constant that is added to all scores lowers the loss without end: the loss expects "
                "log-probabilities and is given raw scores",
                "Add log_softmax over the classes between model and loss", _code(scores),
            )  # fmt: skip
        yield from _check_size(subject, scores, plain.value, ignores_constant)


def _check_size(subject: Subject, scores: str, value: float, ignores_constant: bool) -> Iterator[Finding]:
    if not ignores_constant:
        return
    if value < 0:
        yield Finding(
            "loss-negative", "error", {"loss": value}, "a normalised loss of classes is never below 0",
            "Check signs, and that labels are classes of the model", "print(loss(model, batch))",
        )  # fmt: skip
    uniform = subject.call(subject.batches[0], change=_set_to_zero(scores)).value
    if math.isfinite(uniform) and uniform > 0 and value > TOO_HIGH * uniform:
        yield Finding(
            "first-loss-too-high", "warning", {"loss": value, "loss of uniform outputs": uniform},
            "the first loss is far above that of equal scores: the last layer's weights or its inputs are too large",
            "Initialise the last layer with smaller weights, or normalise its inputs", "print(loss(model, batch))",
        )  # fmt: skip


def _scores(outputs: Mapping[str, Tensor]) -> str | None:
    """The largest output with a last axis of several entries."""
    named = {
        name: tensor
        for name, tensor in outputs.items()
        if tensor.is_floating_point() and tensor.dim() > 1 and tensor.shape[-1] > 1
    }
    return max(named, key=lambda name: named[name].numel()) if named else None


def _shifted(subject: Subject, scores: str, by: float) -> float:
    return subject.call(subject.batches[0], change=lambda name, x: x + by if name == scores else x).value


def _set_to_zero(scores: str) -> Change:
    return lambda name, x: torch.zeros_like(x) if name == scores else x


def are_probabilities(x: Tensor) -> bool:
    return bool(((x >= 0) & (x <= 1)).all()) and bool(((x.sum(-1) - 1).abs() < SUMS).double().mean() > 0.5)


def are_log_probabilities(x: Tensor) -> bool:
    return bool((x <= SUMS).all()) and bool((x.logsumexp(-1).abs() < SUMS).double().mean() > 0.5)


def _are_of_probabilities(subject: Subject, scores: str) -> bool:
    """Whether log-probabilities stay within 1 of each other with huge weights, and are then 1 for one class alone."""
    with scaled_last_layer(subject, LARGE) as is_scaled:
        x = subject.call(subject.batches[0]).outputs[scores].detach().double()
    above = x - x.amin(-1, keepdim=True)
    if not is_scaled or not above.numel() or not bool(above.isfinite().all()) or float(above.max()) > 1 + SUMS:
        return False
    return bool(((above.sum(-1) - 1).abs() < OF_ONE).double().mean() > 0.5)


def _code(scores: str) -> str:
    return f"scores = model(batch)  # {scores}\nprint(scores.exp().sum(-1), scores.sum(-1))"
