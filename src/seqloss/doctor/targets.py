"""Parts of a batch that the loss compares outputs with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from seqloss.doctor.batch_rows import Path, map_batch, parts_of
from seqloss.doctor.subject import Subject

SAME = 1e-6
"""Relative difference of losses that only differ by rounding."""


def is_target(subject: Subject, path: Path, outputs: Mapping[str, Tensor]) -> bool:
    """Whether the loss changes with a part of the first batch while the outputs are held.

    Args:
        subject: with the loss.
        path: of a tensor with rows.
        outputs: of the first batch in evaluation mode.
    """
    part = parts_of(subject.batches[0])[path]
    if not isinstance(part, Tensor) or len(part) < 2:
        return False
    with torch.no_grad():
        plain = subject.value_with(subject.batches[0], outputs)
        turned = replace_part(subject.batches[0], path, part.roll(1, 0))
        try:
            moved = subject.value_with(turned, outputs)
        except Exception:  # the model refuses it
            return False
    return not math.isclose(moved, plain, rel_tol=SAME) and not (math.isnan(moved) and math.isnan(plain))


def replace_part(batch: object, path: Path, new: Tensor) -> object:
    """The batch with another tensor at a path."""
    return map_batch(batch, lambda key, part: new if key == path else part)
