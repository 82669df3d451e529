"""A row of tokens gets the same outputs with less of its padding, where padding is told by its token alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.batches.padding_cuts import KEPT, find_cuts_of_batches
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import common_part, largest_difference, outputs_differ, tolerance
from seqloss.doctor.subject import NotChecked, Subject

CODE = """\
model.eval()
print(model(tokens[:1]))
print(model(tokens[:1, :-2]))  # two steps of padding less: must be equal, as far as both go
"""


def check(subject: Subject) -> Iterator[Finding]:
    cuts = find_cuts_of_batches(subject.rows_of_batches())
    if not cuts:
        raise NotChecked("the batches have no padding that is told by its token alone")
    with torch.no_grad():
        for row, whole, shorter in cuts:
            padded = subject.call_and_see(whole).outputs
            if outputs_differ(padded, subject.call(whole, seed=1).outputs):
                raise NotChecked("the outputs in evaluation mode are random; mend that first")
            cut = subject.call(shorter).outputs
            difference = max(
                (_difference(padded[name], x) for name, x in _floats(cut).items() if name in padded), default=0
            )
            if difference > tolerance(cut):
                yield Finding(
                    "padding-reaches-rows", "error", {"row": row, "relative difference": difference},
                    "with less padding, a row gets other outputs in its own steps: padding reaches them",
                    "Mask the padding in attention and in means, and pack rows of recurrent layers", CODE,
                )  # fmt: skip
                return


def _floats(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: x for name, x in outputs.items() if x.is_floating_point()}


def _difference(padded: Tensor, cut: Tensor) -> float:
    """Of the steps before the padding that was kept, if they have different sizes on one axis."""
    if padded.dim() != cut.dim():
        return 0.0
    axes = [axis for axis in range(cut.dim()) if padded.shape[axis] != cut.shape[axis]]
    if len(axes) == 1 and cut.shape[axes[0]] > KEPT:
        cut = cut.narrow(axes[0], 0, cut.shape[axes[0]] - KEPT)
    return largest_difference(*common_part(padded, cut))
