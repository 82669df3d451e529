"""Parts of a batch that the loss compares outputs with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from seqloss.doctor.batches.label_rows import find_label_rows
from seqloss.doctor.batches.parts import Path, parts_of, replace_parts
from seqloss.doctor.subject import Subject

SAME = 1e-6
"""Relative difference of losses that only differ by rounding."""


def is_target(subject: Subject, path: Path, outputs: Mapping[str, Tensor]) -> bool:
    """Whether the loss changes with the rows of a part of the first batch while the outputs are held.

    Args:
        subject: with the loss.
        path: of the part.
        outputs: of the first batch in evaluation mode.
    """
    part = parts_of(subject.batches[0])[path]
    if not isinstance(part, Tensor) or not part.dim():
        return False
    axis = subject.rows().row_axis(part) or 0
    return part.shape[axis] > 1 and changes_loss(subject, path, part.roll(1, axis), outputs)


def are_labels_outside(subject: Subject, outputs: Mapping[str, Tensor]) -> bool:
    """Whether labels are no classes of the outputs: a CTC loss reads other memory for them, and is then any number.

    Args:
        subject: with the loss.
        outputs: of the first batch in evaluation mode.
    """
    scores = [x for x in outputs.values() if x.is_floating_point() and x.dim() > 1]
    if not scores:
        return False
    classes = max(scores, key=torch.Tensor.numel).shape[-1]
    return any(
        max((one for row in labels.rows for one in row), default=0) >= classes
        and is_target(subject, labels.path, outputs)
        for labels in find_label_rows(subject.rows())
    )


def changes_loss(subject: Subject, path: Path, new: Tensor, outputs: Mapping[str, Tensor]) -> bool:
    """Whether the loss of the first batch changes with another part while the outputs are held.

    Args:
        subject: with the loss.
        path: of the part.
        new: takes its place.
        outputs: of the first batch in evaluation mode.
    """
    batch = subject.batches[0]
    with torch.no_grad():
        plain = subject.value_with(batch, outputs)
        try:
            moved = subject.value_with(replace_parts(batch, {path: new}), outputs)
        except Exception:  # the model refuses it
            return False
    return not math.isclose(moved, plain, rel_tol=SAME) and not (math.isnan(moved) and math.isnan(plain))
