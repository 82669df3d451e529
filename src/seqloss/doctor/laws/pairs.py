"""Pairs that the loss takes for equal ones are more alike than the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, replace_parts
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.targets import is_target

SURE = 4.0
"""Deviations of a rank test: 1 in 30000 by chance."""

LEAST = 16
"""Pairs of each kind."""

CODE = """\
distances = (model(first) - model(second)).norm(dim=-1)
print(distances[labels == 1].mean(), distances[labels == 0].mean())
"""


def check(subject: Subject) -> Iterator[Finding]:
    labels, pair = _find_parts(subject)
    equal = _equal_label(subject, labels, pair)
    distances: dict[bool, list[float]] = {True: [], False: []}
    with torch.no_grad():
        for batch in subject.data.batches:
            for far, label in zip(*_distances(subject, batch, labels, pair), strict=True):
                distances[label == equal].append(far)
    if min(map(len, distances.values())) < LEAST:
        raise NotChecked("there are too few pairs of one kind")
    sure = _rank_test(distances[True], distances[False])
    if sure > SURE:
        means = [sum(found) / len(found) for found in (distances[True], distances[False])]
        yield Finding(
            "equal-pairs-move-apart", "error",
            {"label that the loss takes for equal": equal, "distance of these pairs": means[0],
             "of the others": means[1], "deviations": sure},
            "pairs that the loss draws together are less alike than those that it drives apart: the labels of equal "
            "and different are exchanged",
            "Check which label means equal, in the data and in the loss", CODE,
        )  # fmt: skip


def _find_parts(subject: Subject) -> tuple[Path, tuple[list[Path], list[Path]]]:
    """The labels of pairs, and the parts of their first and second halves."""
    rows = subject.rows(least=4)
    pair = _halves(rows)
    if pair is None:
        raise NotChecked("the batch has no pairs of inputs")
    with torch.no_grad():
        plain = subject.call_and_see(rows.batch)
        for path, part in rows.parts.items():
            if path not in (*pair[0], *pair[1]) and isinstance(part, Tensor) and part.numel() == rows.count:
                values = part.unique()
                if len(values) == 2 and len(part) == rows.count and is_target(subject, path, plain.outputs):
                    return path, pair
    raise NotChecked("the batch has no labels of pairs")


def _halves(rows: BatchRows) -> tuple[list[Path], list[Path]] | None:
    """Two inputs of one kind, with their lengths: those that come first, and those that come second."""
    inputs = [path for path, part in rows.parts.items()
              if isinstance(part, Tensor) and part.dim() > 1 and len(part) == rows.count < part.numel()]  # fmt: skip
    if len(inputs) != 2:
        return None
    one, other = (rows.parts[path] for path in inputs)
    if one.dtype != other.dtype or one.dim() != other.dim() or one.shape[2:] != other.shape[2:]:
        return None
    lengths = [_length_of(rows, path) for path in inputs]
    if lengths[0] is not None and lengths[0] == lengths[1]:  # both have the same longest row
        lengths = [*[key for key in rows.lengths if rows.is_length(key)][:2]]
    if len(lengths) != 2 or (lengths[0] is None) != (lengths[1] is None):
        return None
    halves = [[path, length] if length is not None else [path] for path, length in zip(inputs, lengths, strict=True)]
    return halves[0], halves[1]


def _length_of(rows: BatchRows, path: Path) -> Path | None:
    size = rows.parts[path].shape[1]
    return next((key for key, found in rows.lengths.items() if int(found.max()) == size), None)


def _same_twice(batch: object, pair: tuple[list[Path], list[Path]]) -> object:
    """Each pair with its first half twice."""
    parts = BatchRows(batch).parts
    new = dict(zip(pair[1], (parts[path] for path in pair[0]), strict=True))
    return replace_parts(batch, new)


def _equal_label(subject: Subject, labels: Path, pair: tuple[list[Path], list[Path]]) -> float:
    """The label with the smaller loss for pairs of the same input twice."""
    batch = _same_twice(subject.batches[0], pair)
    part = subject.rows().parts[labels]
    losses = {}
    with torch.no_grad():
        for value in part.unique().tolist():
            losses[float(value)] = subject.call(replace_parts(batch, {labels: torch.full_like(part, value)})).value
    low, high = sorted(losses, key=lambda value: losses[value])
    if not losses[high] > losses[low]:
        raise NotChecked("the loss of a pair of equal inputs does not depend on its label")
    return low


def _distances(
    subject: Subject, batch: object, labels: Path, pair: tuple[list[Path], list[Path]]
) -> tuple[list[float], list[float]]:
    """How far each pair is from one of the same input twice, and its label."""
    plain, same = (subject.call(one).outputs for one in (batch, _same_twice(batch, pair)))
    found = BatchRows(batch).parts[labels]
    count = len(found)
    far = torch.zeros(count, dtype=torch.float64)
    for one in _differences(plain, same, count):
        far += one.to(far)
    return far.tolist(), [float(one) for one in found.flatten().tolist()]


def _differences(plain: Mapping[str, Tensor], same: Mapping[str, Tensor], count: int) -> Iterator[Tensor]:
    for name, x in plain.items():
        if x.is_floating_point() and x.dim() and len(x) == count and name in same and same[name].shape == x.shape:
            yield (x.double() - same[name].double()).reshape(count, -1).square().sum(1)


def _rank_test(first: list[float], second: list[float]) -> float:
    """How far the first numbers are above the second, in deviations (Mann and Whitney)."""
    wins = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    n, m = len(first), len(second)
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
