"""Which steps of a row's input each output frame answers to most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import parts_of, replace_parts
from seqloss.doctor.model_outputs import batch_axes, combine
from seqloss.doctor.subject import NotChecked, Subject

FRAMES = 40
"""Frames whose gradients are computed; of more frames, some at equal distances."""


@dataclass(frozen=True)
class Spans:
    """One row, alone and without padding.

    Attributes:
        steps: of the input.
        frames: of the output.
        claimed: frames that the model says the row has; None if it says nothing.
        tried: numbers of the frames that were tried.
        peaks: axis of the input -> the place along it where the gradient of each tried frame is largest; -1 where the
            gradient is 0.
        time: the axis of the steps.
    """

    steps: int
    frames: int
    claimed: int | None
    tried: Sequence[int]
    peaks: dict[int, list[int]]
    time: int


def find_spans(subject: Subject, row: int) -> Spans:
    """The spans of a row of the first batch.

    Args:
        subject: with model and loss.
        row: its number.

    Raises:
        NotChecked: no padded input of floats, or no output with frames.
    """
    rows = subject.rows()
    path = next((path for path, part in rows.parts.items()
                 if rows.padded_axis(part) is not None and part.is_floating_point()), None)  # fmt: skip
    if path is None:
        raise NotChecked("the batch has no padded input of floats")
    with torch.no_grad():
        axes = batch_axes(subject)
    batch = rows.take([row], trim=True)
    leaf = parts_of(batch)[path].detach().clone().requires_grad_()
    call = subject.call(replace_parts(batch, {path: leaf}))
    name = next((name for name, x in call.outputs.items()
                 if name in axes and x.dim() == 3 and x.requires_grad and axes[name] < 2), None)  # fmt: skip
    if name is None:
        raise NotChecked("the model returns no tensor of (batch, time, classes)")
    frames = _frames_first(call.outputs[name], axes[name], _other_shape(subject, row, name))
    time, own = rows.padded_axis(rows.parts[path]), rows.row_axis(rows.parts[path])
    assert time is not None
    tried = torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).long().tolist()
    gradients = [_gradient(frames[t], leaf) for t in tried]
    peaks = {axis: [_peak(one, axis) for one in gradients] for axis in range(leaf.dim()) if axis != own}
    return Spans(leaf.shape[time], len(frames), _claimed(call.outputs, leaf.shape[time]), tried, peaks, time)


def _other_shape(subject: Subject, row: int, name: str) -> torch.Size | None:
    """Of an output for the shortest row, to tell its axis of frames; None if no row is shorter."""
    rows = subject.rows()
    lengths = rows.lengths_of(rows.longest)
    if lengths is None or int(lengths.min()) == int(lengths[row]):
        return None
    with torch.no_grad():
        found = subject.call(rows.take([int(lengths.argmin())], trim=True)).outputs.get(name)
    return None if found is None else found.shape


def _frames_first(output: Tensor, row_axis: int, other: torch.Size | None) -> Tensor:
    """The frames of a row: along the only axis that has another size for another row, else the first one."""
    axes = [axis for axis in range(3) if axis != row_axis]
    longer = [axis for axis in axes if other is not None and len(other) == 3 and output.shape[axis] != other[axis]]
    time = longer[0] if len(longer) == 1 else axes[0]
    return output.movedim((row_axis, time), (0, 1))[0]


def _gradient(frame: Tensor, leaf: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(combine([frame]), leaf, retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if found is None else found.abs()


def _peak(gradient: Tensor, axis: int) -> int:
    along = gradient.transpose(0, axis).flatten(1).sum(1)
    return int(along.argmax()) if along.any() else -1


def _claimed(outputs: Mapping[str, Tensor], steps: int) -> int | None:
    integers = (torch.int32, torch.int64)
    found = (int(x) for x in outputs.values() if x.shape == (1,) and x.dtype in integers)
    return next((one for one in found if 0 <= one <= steps), None)
