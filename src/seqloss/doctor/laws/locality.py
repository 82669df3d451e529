"""Which input steps reach the outputs: all that are in use, and none past a row's length."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, map_batch, name_part
from seqloss.doctor.findings import Finding
from seqloss.doctor.model_outputs import combine
from seqloss.doctor.subject import NotChecked, Subject

SHARE = 0.1
"""Input steps that may reach no output: a last window that is not full."""

CODE = """\
inputs.requires_grad_()
model(inputs).square().sum().backward()
print(inputs.grad.abs().sum(-1))  # (batch, time)
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows()
    inputs = {path: part for path, part in rows.parts.items()
              if isinstance(part, Tensor) and part.is_floating_point() and part.dim() > 1}  # fmt: skip
    if not inputs:
        raise NotChecked("the batch has no tensor of floats with more than one axis")
    reached = _input_gradients(subject, list(inputs))
    if not any(bool(gradient.any()) for gradient in reached.values()):
        with torch.no_grad():
            subject.step_dry()  # a last layer of 0 hides the input only before the first step
        reached = _input_gradients(subject, list(inputs))
    if not any(bool(gradient.any()) for gradient in reached.values()):
        yield Finding(
            "input-ignored", "error", {"inputs": list(map(name_part, inputs))},
            "the outputs do not depend on any input: the gradient with respect to it is exactly 0",
            "Look for detach, argmax, a multiplication by 0, or a layer that is given something else", CODE,
        )  # fmt: skip
        return
    for path, gradient in reached.items():
        axis = rows.padded_axis(inputs[path])
        if axis is None or not gradient.any():
            continue
        steps = gradient.abs().transpose(0, axis).flatten(1).sum(1)  # over all rows: masks of a row are random
        unused = int((steps == 0).sum())
        if unused > SHARE * len(steps) + 1:
            yield Finding(
                "input-steps-unused", "error", {"steps": unused, "of": len(steps)},
                "these steps of an input reach no output: lengths are too short, frames are cut off, or a stride "
                "skips them",
                "Check lengths after subsampling (round up), slices, and strides beside kernel sizes", CODE,
            )  # fmt: skip


def _input_gradients(subject: Subject, paths: list[Path]) -> dict[Path, Tensor]:
    """Of a random combination of all outputs in use, for the inputs that these are computed from."""
    leaves: dict[Path, Tensor] = {}

    def track(path: Path, part: object) -> object:
        if path in paths and isinstance(part, Tensor):
            leaves[path] = part = part.detach().clone().requires_grad_()
        return part

    call = subject.call(map_batch(subject.batches[0], track))
    outputs = [tensor for tensor in call.outputs.values() if tensor.is_floating_point() and tensor.requires_grad]
    if not outputs:
        return {}
    found = torch.autograd.grad(combine(outputs), list(leaves.values()), allow_unused=True)
    return {path: gradient for path, gradient in zip(leaves, found, strict=True) if gradient is not None}
