"""Parts of a batch that outputs are compared with as numbers: the loss is lowest where the two are equal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from torch import Tensor

from seqloss.doctor.batches.parts import Path, parts_of
from seqloss.doctor.subject import Subject
from seqloss.doctor.targets import changes_loss

NEAR = 0.01
"""Of the targets' deviation: by how much outputs are moved away from the targets."""


def number_targets(subject: Subject, outputs: Mapping[str, Tensor]) -> Iterator[tuple[Path, Tensor, str]]:
    """(path of the targets, targets, name of the output) in the first batch.

    Args:
        subject: with the loss.
        outputs: of the first batch in evaluation mode.
    """
    floats = {name: x for name, x in outputs.items() if x.is_floating_point()}
    for path, part in parts_of(subject.batches[0]).items():
        if not isinstance(part, Tensor) or not part.is_floating_point() or part.numel() < 2:
            continue
        names = [name for name, x in floats.items() if part.numel() == x.numel() and len(part) in x.shape]
        if names and changes_loss(subject, path, part.flip(0) + 1, outputs):
            for name in names:
                if _is_lowest_at(subject, name, outputs, part):
                    yield path, part, name


def _is_lowest_at(subject: Subject, name: str, outputs: Mapping[str, Tensor], part: Tensor) -> bool:
    """Whether no loss near the targets is below that at the targets, or that cannot be said.

    The divergence of log-probabilities from probabilities, for example, is not lowest where the two are equal numbers.
    """
    x = outputs[name]
    if [size for size in part.shape if size > 1] != [size for size in x.shape if size > 1]:
        return True
    exact = part.reshape(x.shape).to(x)
    by = NEAR * (float(exact.double().std()) or 1.0)
    try:
        values = [subject.value_with(subject.batches[0], {**outputs, name: exact + one}) for one in (0.0, by, -by)]
    except Exception:  # the loss takes probabilities only, for example
        return True
    return not all(map(math.isfinite, values)) or values[0] <= min(values) + 1e-6 * abs(values[0])
