"""What a CTC loss does with a batch, found by its gradient at uniform scores: the blank, and rows that do not fit.

There, the gradient of a row is lower than elsewhere at its labels and at the blank, and at no other class. A row that
does not fit its frames has no gradient at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloss.data.vocabulary import frames_needed
from seqloss.doctor.batches.label_rows import LabelRows, find_label_rows
from seqloss.doctor.batches.rows import BatchRows, find_rows
from seqloss.doctor.subject import Subject

ROUNDING = 1e-3
"""Relative to the spread of the gradient of a row; a label takes a whole frame of it."""


@dataclass(frozen=True)
class CtcRows:
    """A batch with a CTC loss.

    Attributes:
        blank: class of the blank; None if no row fits.
        labels: of the rows.
        fits: whether the loss finds a path, for each row.
        frames: of each row, as the loss uses them; without a path, in proportion to what the model or the input says.
        classes: of the scores.
        used: frames of each row up to the last one that the loss depends on; None without a path.
    """

    blank: int | None
    labels: LabelRows
    fits: tuple[bool, ...]
    frames: tuple[int, ...]
    classes: int
    used: tuple[int | None, ...]

    @property
    def needed(self) -> tuple[int, ...]:
        return tuple(map(frames_needed, self.labels.rows))


def find_ctc_rows(subject: Subject, batch: object) -> CtcRows | None:
    """What the loss does with the rows of a batch.

    Args:
        subject: with model and loss.
        batch: one of the training, or of held-out data.

    Returns:
        None if the loss is no CTC loss, or the labels are not recognised.
    """
    rows = find_rows(batch)
    if rows is None:
        return None
    gradients, others = _gradients(subject, batch, rows.count)
    candidates = [found for found in find_label_rows(rows) if any(found.rows)]
    for gradient in gradients:
        found = _recognise(gradient, _frames(others, gradient.shape[1], rows), candidates)
        if found is not None:
            return found
    return None


def _recognise(gradient: Tensor, frames: tuple[int, ...], candidates: Sequence[LabelRows]) -> CtcRows | None:
    """The rows of a batch from the gradient (batch, time, classes) of its loss."""
    classes = gradient.shape[2]
    fits = [bool(row.isfinite().all()) and bool(row.any()) for row in gradient]
    if not any(fits) or not _spreads(gradient[fits]):
        return _by_lengths(candidates, fits, frames, classes)
    used = [_used_classes(row) if fit else None for row, fit in zip(gradient.sum(1), fits, strict=True)]
    for labels in candidates:
        blank = _blank(used, labels.rows, classes)
        if blank is not None:
            of_loss = _used_frames(gradient, fits)
            return CtcRows(blank, labels, tuple(fits), _as_used(frames, of_loss), classes, of_loss)
    return None


def _gradients(subject: Subject, batch: object, count: int) -> tuple[list[Tensor], Mapping[str, Tensor]]:
    """Of the loss with respect to uniform scores, as (batch, time, classes), for each output that can hold scores; and
    the model's other outputs."""
    leaves: list[Tensor] = []
    others: dict[str, Tensor] = {}

    def flatten(name: str, x: Tensor) -> Tensor:
        if x.is_floating_point() and x.dim() == 3 and count in x.shape[:2]:
            leaves.append(torch.full_like(x, -math.log(x.shape[2])).detach().requires_grad_())
            return leaves[-1]
        others[name] = x.detach()
        return x

    with torch.enable_grad():
        loss = subject.call(batch, change=flatten).loss
    if not leaves or not loss.requires_grad:
        return [], others
    found = [one for one in torch.autograd.grad(loss, leaves, allow_unused=True) if one is not None]
    return [one.detach().double().movedim(0 if len(one) == count else 1, 0) for one in found], others


def _frames(outputs: Mapping[str, Tensor], steps: int, rows: BatchRows) -> tuple[int, ...]:
    """Of each row: as the model returns them, else in proportion to the lengths of an input."""
    for tensor in outputs.values():
        if tensor.shape == (rows.count,) and not tensor.is_floating_point() and 0 < int(tensor.max()) <= steps:
            return tuple(tensor.tolist())
    lengths = input_lengths(rows)
    if lengths is None:
        return (steps,) * rows.count
    longest = max(1, *lengths)
    return tuple(min(steps, -(-length * steps // longest)) for length in lengths)


def input_lengths(rows: BatchRows) -> list[int] | None:
    """Lengths of the rows of a padded input of floats; None if there is none."""
    for part in rows.parts.values():
        lengths = rows.row_lengths(part)
        if lengths is not None and part.is_floating_point():
            return [int(one) for one in lengths]
    return None


def _used_frames(gradient: Tensor, fits: Sequence[bool]) -> tuple[int | None, ...]:
    return tuple(int(row.any(1).nonzero()[-1]) + 1 if fit else None for row, fit in zip(gradient, fits, strict=True))


def _as_used(frames: Sequence[int], used: Sequence[int | None]) -> tuple[int, ...]:
    """Frames of the rows as the loss uses them; of a row without a path, in proportion to those of the others."""
    pairs = [(one, other) for one, other in zip(used, frames, strict=True) if one is not None]
    share = sum(one for one, _ in pairs) / max(1, sum(other for _, other in pairs))
    return tuple(round(share * one) if other is None else other for one, other in zip(frames, used, strict=True))


def _used_classes(row: Tensor) -> set[int]:
    """Classes whose gradient is below that of the others."""
    spread = float(row.max() - row.min())
    return set((row < row.max() - ROUNDING * spread).nonzero()[:, 0].tolist())


def _spreads(gradient: Tensor) -> bool:
    """Whether some frame has two classes or more: with one label for each frame, it is no CTC loss."""
    top = gradient.amax(2, keepdim=True)
    spread = (top - gradient.amin(2, keepdim=True)).amax(1, keepdim=True)
    below = (gradient < top - ROUNDING * spread).sum(2)
    return bool((below >= 2).any())


def _blank(used: Sequence[set[int] | None], rows: Sequence[Sequence[int]], classes: int) -> int | None:
    """The class that explains each row's classes together with its labels; None if there is no such class."""
    beside: set[int] = set()
    possible = set(range(classes))
    judged = 0
    for found, labels in zip(used, rows, strict=True):
        if found is None or len(set(labels)) + 1 >= classes or any(not 0 <= one < classes for one in labels):
            continue
        if not set(labels) <= found:
            return None
        judged += 1
        beside |= found - set(labels)
        possible &= found
    if not judged or len(beside) > 1:
        return None
    if beside:
        return next(iter(beside))
    return next(iter(possible)) if len(possible) == 1 else None


def _by_lengths(
    candidates: Sequence[LabelRows], fits: Sequence[bool], frames: tuple[int, ...], classes: int
) -> CtcRows | None:
    """Where no row has room for a choice: the labels that are too long for just those rows without a gradient."""
    for labels in candidates:
        in_range = all(0 <= one < classes for row in labels.rows for one in row)
        agree = all((frames_needed(row) <= count) == fit
                    for row, count, fit in zip(labels.rows, frames, fits, strict=True))  # fmt: skip
        if labels.lengths is not None and in_range and agree and not all(fits):
            return CtcRows(None, labels, tuple(fits), frames, classes, (None,) * len(fits))
    return None
