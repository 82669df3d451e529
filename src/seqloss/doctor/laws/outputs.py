"""What the model returns before the first step: finite, different for different inputs, and not clipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from seqloss.doctor.final_outputs import final_outputs
from seqloss.doctor.findings import Finding
from seqloss.doctor.last_layer import scaled_last_layer
from seqloss.doctor.number_targets import number_targets
from seqloss.doctor.subject import NotChecked, Subject

CLIPPED = 0.2
"""Share of exact zeros. Weights of random sign give half of the outputs to a ReLU, and none without one."""

TURNED = 0.9
"""Share of outputs that are 0 with one sign of the last layer's weights, and not with the other: all with a ReLU."""

ROWS = 4

MASKED = -1e3
"""Scores from here on are classes that are masked."""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        found = list(_check(subject))
        if any(finding.name == "outputs-constant" for finding in found):
            subject.step_dry()  # a last layer may begin with 0
            found = list(_check(subject))
    yield from found


def _check(subject: Subject) -> Iterator[Finding]:
    final = final_outputs(subject)
    alone = _rows_alone(subject)
    tensors = {name: x for name, x in _join(alone).items() if name in final}
    if not tensors:
        raise NotChecked("the model returns no tensor of floats")
    with scaled_last_layer(subject, -1.0):
        turned = _join(_rows_alone(subject))
    for name, tensor in tensors.items():
        code = f"print(model(batch){'' if name == 'output' else f' # {name}'}.flatten()[:20])"
        bad = int((~tensor.isfinite() & ~tensor.isneginf()).sum())
        if bad:
            yield Finding(
                "outputs-not-finite", "error", {"output": name, "entries": bad, "of": tensor.numel()},
                "the model returns NaN or inf before the first step",
                "Find the first layer with torch.autograd.set_detect_anomaly(True) or seqloss.doctor.layers(model)",
                code,
            )  # fmt: skip
            continue
        zeros = float((tensor == 0).double().mean())
        other = turned.get(name)
        if _is_clipped(tensor, other):
            yield Finding(
                "outputs-clipped", "note" if _fits_targets(subject, name) else "error",
                {"output": name, "share of exact zeros": zeros,
                 "with the last layer's weights of the other sign":
                     None if other is None else float((other == 0).double().mean())},
                "the model returns no value below 0 and many exact zeros: it ends in a ReLU, which has no gradient "
                "there",
                "Remove the activation after the last layer", code,
            )  # fmt: skip
        elif any(name in one and _is_clipped_before_softmax(one[name]) for one in alone):
            yield Finding(
                "outputs-clipped", "error", {"output": name, "scores at the smallest one": "several in each frame"},
                "in each frame, several classes share exactly the smallest score, and other ones in other frames: a "
                "ReLU is between the last layer and the softmax, and has no gradient there",
                "Remove the activation after the last layer", code,
            )  # fmt: skip
        elif bool((tensor == tensor.flatten()[0]).all()) and name not in _without_graph(subject):
            yield Finding(
                "outputs-constant", "error", {"output": name, "value": float(tensor.flatten()[0])},
                "all outputs are the same number", "Look for a last layer that is 0, or an activation that saturates",
                code,
            )  # fmt: skip


def _without_graph(subject: Subject) -> set[str]:
    """Outputs that no weight reaches, such as a mask, beside others."""
    with torch.enable_grad():
        outputs = subject.call(subject.batches[0]).outputs
    found = {name for name, x in outputs.items() if not x.requires_grad}
    return found if len(found) < len(outputs) else set()


def _rows_alone(subject: Subject) -> list[Mapping[str, Tensor]]:
    rows = subject.rows()
    return [subject.call_and_see(rows.take([row], trim=True)).outputs for row in range(min(ROWS, rows.count))]


def _join(alone: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """All entries of each output of floats; rows with a single number are judged together."""
    found = {
        name: torch.cat([one[name].flatten() for one in alone if name in one])
        for name, tensor in alone[0].items() if tensor.is_floating_point()
    }  # fmt: skip
    return {name: tensor for name, tensor in found.items() if len(tensor) > 1}


def _is_clipped(x: Tensor, turned: Tensor | None) -> bool:
    """Whether no output is below 0, and many are exactly 0: by chance of the first weights, or, with the last layer's
    weights of the other sign, just those that were not."""
    zeros = x == 0
    if float(x.min()) < 0 or bool(zeros.all()):
        return False
    if float(zeros.double().mean()) >= CLIPPED:
        return True
    if turned is None or turned.shape != x.shape or float(turned.min()) < 0:
        return False
    return bool((zeros ^ (turned == 0)).double().mean() > TURNED)


def _fits_targets(subject: Subject, name: str) -> bool:
    """Whether the output is compared with numbers, none of them below 0: amounts, for example."""
    outputs = subject.call(subject.batches[0]).outputs
    targets = [part for _, part, one in number_targets(subject, outputs) if one == name]
    return bool(targets) and all(float(part.min()) >= 0 for part in targets)


def _is_clipped_before_softmax(x: Tensor) -> bool:
    """Whether the classes with the smallest score of a frame are several, and not the same ones in each frame."""
    if x.dim() < 2 or x.shape[-1] < 4:
        return False
    frames = x.reshape(-1, x.shape[-1])
    frames = frames[(frames != frames[:, :1]).any(1) & frames.isfinite().all(1)]
    if len(frames) < 2 or float(frames.min()) < MASKED:
        return False
    least = frames == frames.amin(1, keepdim=True)
    several = least.sum(1) > 1
    return bool(least.double().mean() >= CLIPPED) and bool(several.double().mean() > 0.5) and bool(
        (least != least[0]).any())  # fmt: skip
