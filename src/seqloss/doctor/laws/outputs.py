"""What the model returns before the first step: finite, different for different inputs, and not clipped."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

CLIPPED = 0.2
"""Share of exact zeros. Weights of random sign give half of the outputs to a ReLU, and none without one."""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        outputs = subject.call_and_see(subject.rows().take([0], trim=True)).outputs
    tensors = {name: tensor for name, tensor in outputs.items() if tensor.is_floating_point() and tensor.numel() > 1}
    if not tensors:
        raise NotChecked("the model returns no tensor of floats")
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
        if CLIPPED <= zeros < 1 and float(tensor.min()) == 0:
            yield Finding(
                "outputs-clipped", "error", {"output": name, "share of exact zeros": zeros},
                "the model returns no value below 0 and many exact zeros: it ends in a ReLU, which has no gradient "
                "there",
                "Remove the activation after the last layer", code,
            )  # fmt: skip
        elif bool((tensor == tensor.flatten()[0]).all()):
            yield Finding(
                "outputs-constant", "error", {"output": name, "value": float(tensor.flatten()[0])},
                "all outputs are the same number", "Look for a last layer that is 0, or an activation that saturates",
                code,
            )  # fmt: skip
