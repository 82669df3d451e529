"""The scratch that rows of CTC need, taken from a thread's workspace."""

from __future__ import annotations

import numpy as np

from seqloss.kernels.ctc import layout
from seqloss.kernels.ctc.blocks import Space
from seqloss.kernels.ctc.emissions import Scratch
from seqloss.kernels.numba.workspace import FLOAT, INTEGER, Workspace

INTEGERS = {"exponents", "saved_exponents", "firsts", "beta_exponents"}
RELATED = ("tops", "origins", "rounders", "rests")


def take_path_sums(lent: Workspace, sizes: dict[str, int]) -> Space:
    """Where a thread's path sums go: arrays of these sizes, see `seqloss.kernels.ctc.layout.space_sizes`."""
    return Space(*(lent.take(name, sizes[name], INTEGER if name in INTEGERS else FLOAT) for name in Space._fields))


def take_measuring(lent: Workspace, kind: np.dtype, labels: int, classes: int) -> Scratch:
    """What a thread needs to measure frames of so many classes for rows of no more labels."""
    related = {name: lent.take(f"{name} {kind.char}", layout.TOGETHER, kind) for name in RELATED}
    return Scratch(
        line=lent.take(f"line {kind.char}", classes, kind),
        exponentials=lent.take(f"exponentials {kind.char}", max(layout.TOGETHER, classes), kind),
        powers=lent.take("powers", max(layout.TOGETHER, layout.most_slots(labels, classes)), FLOAT),
        **related,
    )
