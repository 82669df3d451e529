"""The scratch of CTC rows, taken from a thread's workspace."""

from __future__ import annotations

import numpy as np

from seqloss.kernels.ctc import layout
from seqloss.kernels.ctc.blocks import Space
from seqloss.kernels.ctc.emissions import Scratch
from seqloss.kernels.numba.workspace import FLOAT, INTEGER, Workspace

INTEGERS = {"exponents", "saved_exponents", "firsts", "beta_exponents"}
RELATED = ("tops", "origins", "rounders", "rests")


def take_path_sums(workspace: Workspace, sizes: dict[str, int]) -> Space:
    """Scratch for path sums: arrays of the sizes of `seqloss.kernels.ctc.layout.space_sizes`."""
    return Space(*(workspace.take(name, sizes[name], INTEGER if name in INTEGERS else FLOAT) for name in Space._fields))


def take_measuring_scratch(workspace: Workspace, kind: np.dtype, labels: int, classes: int) -> Scratch:
    """Scratch to measure frames of `classes` classes, for rows with up to `labels` labels."""
    related = {name: workspace.take(f"{name} {kind.char}", layout.TOGETHER, kind) for name in RELATED}
    return Scratch(
        line=workspace.take(f"line {kind.char}", classes, kind),
        exponentials=workspace.take(f"exponentials {kind.char}", max(layout.TOGETHER, classes), kind),
        powers=workspace.take("powers", max(layout.TOGETHER, layout.most_slots(labels, classes)), FLOAT),
        **related,
    )
