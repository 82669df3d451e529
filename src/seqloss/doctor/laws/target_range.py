"""Targets that are numbers are within what the last layer can return."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, name_part
from seqloss.doctor.findings import Finding
from seqloss.doctor.last_layer import scaled_last_layer
from seqloss.doctor.number_targets import number_targets
from seqloss.doctor.subject import NotChecked, Subject

LARGE = 1e4
"""The weights of the last layer are multiplied by it, so that an activation shows its bounds."""

ROUNDING = 1e-3
FEW = 0.001
"""Share of the targets that may be outside: rare values of a scaled table."""

CODE = """\
print(targets.min(), targets.max())
print(model(batch).min(), model(batch).max())
"""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        plain = subject.call_and_see(subject.batches[0])
        targets = list(number_targets(subject, plain.outputs))
        if not targets:
            raise NotChecked("no part of the batch was recognised as a target of numbers")
        bounds = _bounds(subject)
        for path, part, name in targets:
            if name in bounds:
                yield from _check(path, part, name, *bounds[name])


def _bounds(subject: Subject) -> dict[str, tuple[float, float]]:
    """Smallest and largest output with huge weights in the last layer, for outputs that are bounded."""
    seen: dict[str, list[Tensor]] = {}
    for factor in (LARGE, -LARGE):  # and with the other sign: all outputs can be on one side of an activation
        with scaled_last_layer(subject, factor) as is_scaled:
            for name, x in subject.call(subject.batches[0]).outputs.items() if is_scaled else ():
                if x.is_floating_point() and x.numel():
                    seen.setdefault(name, []).append(x)
    both = {name: torch.cat([x.flatten() for x in found]) for name, found in seen.items()}
    return {name: (_bound(x, -1), _bound(x, 1)) for name, x in both.items()}


def _bound(x: Tensor, side: int) -> float:
    """-1, 0 or 1 where the outputs end; infinite where they do not."""
    end = float((side * x).max()) * side
    near = round(end)
    return float(near) if abs(end - near) < ROUNDING and near in (-1, 0, 1) else side * float("inf")


def _check(path: Path, part: Tensor, name: str, low: float, high: float) -> Iterator[Finding]:
    outside = float(((part < low - ROUNDING) | (part > high + ROUNDING)).double().mean())
    if low < high and outside > FEW:
        yield Finding(
            "targets-outside-outputs", "error",
            {"target": name_part(path), "smallest": float(part.min()), "largest": float(part.max()),
             "output": name, "its smallest": low, "its largest": high, "share outside": outside},
            "the last activation cannot return these targets: a sigmoid ends at 0 and 1, a ReLU at 0, "
            "a tanh at -1 and 1",
            "Remove the activation after the last layer, or scale the targets into its range", CODE,
        )  # fmt: skip
