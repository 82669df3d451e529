"""The weights of a checkpoint are in the model: strict=False hides that no name fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

LEAST = 0.5
"""Share of the checkpoint that a model takes over; a new head leaves out a few tensors."""

CODE = """\
print(model.load_state_dict(checkpoint, strict=False))  # missing and unexpected keys
"""


def check(subject: Subject) -> Iterator[Finding]:
    if subject.data.checkpoint is None:
        raise NotChecked("a checkpoint is needed")
    saved = {name: x for name, x in subject.data.checkpoint.items() if isinstance(x, Tensor) and x.is_floating_point()}
    held = dict(subject.model.state_dict())
    loaded = _count_equal(saved, held)
    if not saved or loaded >= LEAST * len(saved):
        return
    prefix = _prefix(saved, held)
    named = len(saved.keys() & held.keys())
    yield Finding(
        "checkpoint-not-loaded", "error",
        {"tensors": len(saved), "with a name of the model": named, "with equal values": loaded,
         "prefix": prefix or "none", "such as": next(iter(saved)), "in the model": next(iter(held), "none")},
        "most weights of the checkpoint are not in the model: " + (
            "their names differ by a prefix, and strict=False leaves them out" if prefix else
            "it was not loaded, the weights were initialised afterwards, or its names are others"
        ),
        "Load with strict=True; strip or add the prefix of the names before", CODE,
    )  # fmt: skip


def _count_equal(saved: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> int:
    pairs = [(x, held[name]) for name, x in saved.items() if name in held and held[name].shape == x.shape]
    return sum(torch.equal(x.to(other), other) for x, other in pairs)


def _prefix(saved: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> str:
    """What most names of one of the two have before those of the other; "" for nothing."""
    for longer, shorter in ((saved, held), (held, saved)):
        first = next((name for name in longer if name.split(".")[-1:] != [name]), "")
        parts = first.split(".")
        for count in range(1, len(parts)):
            prefix = ".".join(parts[:count]) + "."
            stripped = {name.removeprefix(prefix) for name in longer if name.startswith(prefix)}
            if len(stripped & shorter.keys()) > LEAST * min(len(saved), len(held)):
                return prefix
    return ""
