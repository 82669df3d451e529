"""Whether the mean of the losses of accumulated batches is that of one big batch.

A loss that is a mean over the real positions of a batch weights each position by the size of its own batch: in batches
of short rows, each position counts more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.batches.joined import join_batches
from seqloss.doctor.batches.parts import parts_of
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Subject
from seqloss.doctor.watching.apart import apart
from seqloss.doctor.watching.window import Window

UNEVEN = 2.0
"""Largest number of positions of a batch relative to the smallest; below, the two means are nearly the same."""

NEAR = 1e-3
"""How far the weighted mean may be from the loss of the big batch, relative to their difference."""

CODE = """\
count = sum(batch.lengths.sum() for batch in batches)  # of all batches of the step
for batch in batches:
    (loss(model, batch) * batch.lengths.sum() / count).backward()
"""


def check(window: Window) -> Iterator[Finding]:
    batches = [part.batch for part in window.parts]
    counts = [found for found in _position_counts(batches) if max(found) >= UNEVEN * min(found) > 0]
    if len(batches) < 2 or not counts:
        return
    single, whole = _losses(window.model, window.whole, window.parts[0].loss, batches)
    plain = sum(single) / len(single)
    for count in counts:
        weighted = sum(loss * number for loss, number in zip(single, count, strict=True)) / sum(count)
        if abs(plain - whole) > NEAR * abs(whole) and abs(weighted - whole) < NEAR * abs(plain - whole) + 1e-6:
            yield Finding(
                "mean-of-means", "warning",
                {"step": window.number, "positions of each batch": count, "mean of the losses": plain,
                 "loss of one big batch": whole},
                "the batches that are accumulated have different numbers of positions, and count the same: positions "
                "of short rows have a larger weight than in one big batch",
                "Add up the losses of all positions, and divide by their number in all batches of the step", CODE,
            )  # fmt: skip
            return


def adds_up(window: Window) -> bool:
    """Whether the losses are shares of the loss of one big batch: sums over rows, or divided by the caller's loss."""
    with apart(window.whole, window.parts[0].loss, eager=False), torch.enable_grad():
        loss = window.parts[0].again(window.model)
    last: Any = loss.grad_fn
    name = last.name() if last else ""
    if name in ("DivBackward0", "MulBackward0") and (divided := last._saved_other) is not None:
        number = float(divided) if divided.numel() == 1 else 1.0
        if math.isclose(number if name == "DivBackward0" else 1 / (number or 1.0), window.batches, rel_tol=1e-6):
            return True
    single, whole = _losses(window.model, window.whole, window.parts[0].loss, [part.batch for part in window.parts])
    return abs(sum(single) - whole) <= NEAR * abs(whole)


def _losses(model: nn.Module, whole: nn.Module, loss: Any, batches: Sequence[Any]) -> tuple[list[float], float]:
    """Of each batch, and of all in one, in evaluation mode."""
    subject = Subject(model, batches, loss)
    with apart(whole, loss), torch.no_grad():
        single = [subject.call(batch, seed=None).value for batch in batches]
        return single, subject.call(join_batches(batches), seed=None).value


def _position_counts(batches: Sequence[Any]) -> Iterator[list[int]]:
    """What may be the number of real positions of each batch: the sum of lengths, and integers that are no padding."""
    parts = [parts_of(batch) for batch in batches]
    for path, part in parts[0].items():
        tensors = [one[path] for one in parts]
        if not all(isinstance(one, Tensor) and not one.is_floating_point() for one in tensors):
            continue
        yield [int(one.sum()) for one in tensors]
        if part.dtype == torch.bool or part.dim() != 2:
            continue
        for padding in {int(one[:, -1].mode().values) for one in tensors if one.numel()}:
            yield [int((one != padding).sum()) for one in tensors]
            yield [int((one[:, 1:] != padding).sum()) for one in tensors]  # shifted by one
