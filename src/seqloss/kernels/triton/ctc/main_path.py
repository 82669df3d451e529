"""The main path, the best class of each frame: whether it spells the target, its states, and its log-probability.

Emissions are relative to the best class of their frame, so that this path has weight 1. If it spells the target, the
backward sums exclude it, which keeps the digits of all other paths (`seqloss.formulas.ctc.loss`). States are numbered
blank 0, label 0, blank 1, label 1, ... = 0, 1, 2, 3, ...

    certain = sum over frames of log p(best) = -sum log1p(others),      without the softmax, sum of top

is added in float64, in blocks of a fixed size. The kernel also finds out which rows are broken or too short.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.frames import Frames
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets
from seqloss.kernels.triton.launch import launch_kernel

BLOCK = 1024
"""Frames of a block: always the same number, so that the order of the sum does not depend on the batch."""


class MainPath(NamedTuple):
    """The main path of each row.

    Attributes:
        states: int32 (batch, time), the state of the path in each frame.
        spells: int8 (batch,), 1 where the path spells the target.
        certain: float64 (batch,), the log-probability of the path.
        broken: int8 (batch,), 1 for rows whose loss is NaN.
        walked: int32 (batch,), the frames over which path sums are computed: 0 for rows that are broken or too short.
    """

    states: torch.Tensor
    spells: torch.Tensor
    certain: torch.Tensor
    broken: torch.Tensor
    walked: torch.Tensor


@triton.jit
def log1p(x):
    """ln(1 + x) of a float64 x >= 0, with a relative error of about 1e-12."""
    small = x * (1.0 - x * (0.5 - x * (0.3333333333333333 - x * 0.25)))
    return tl.where(x < 1e-3, small, tl.log(1.0 + x))


@triton.jit(do_not_specialize=["time"])  # whether 16 divides it must not choose the order of a sum
def _main_path_kernel(
    top, others, best, flags, labels, frames, counts, required, refused,
    states_out, spells_out, certain_out, broken_out, walked_out, time, longest, blank,
    NORMALIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    length = tl.load(frames + row)
    count = tl.load(counts + row)
    broken = tl.load(refused + row).to(tl.int32)
    begun = 0
    wrong = 0
    certain = tl.zeros([BLOCK], tl.float64)
    start = 0
    while start < length:
        # 1. a label begins where the best class is not the blank and differs from the one before; `read` numbers them
        t = start + tl.arange(0, BLOCK)
        used = t < length
        at = row * time + t
        now = tl.load(best + at, mask=used, other=blank)
        before = tl.load(best + at - 1, mask=used & (t > 0), other=blank)
        on_label = now != blank
        begins = (on_label & (now != before)).to(tl.int32)
        read = begun + tl.cumsum(begins, 0)
        # 2. each label that begins must be the target's label of that number
        inside = (read > 0) & (read <= count)
        label = tl.load(labels + row * longest + read - 1, mask=inside & used, other=-2)
        wrong = tl.maximum(wrong, tl.max(tl.where(label != now, begins, 0), 0))
        tl.store(states_out + at, 2 * read - on_label.to(tl.int32), mask=used)
        # 3. the path's log-probability, each lane its own frames
        if NORMALIZE:
            certain -= log1p(tl.load(others + at, mask=used, other=0.0).to(tl.float64))
        else:
            certain += tl.load(top + at, mask=used, other=0.0).to(tl.float64)
        broken = tl.maximum(broken, tl.max(tl.load(flags + at, mask=used, other=0).to(tl.int32), 0))
        begun += tl.sum(begins, 0)
        start += BLOCK
    # 4. it spells the target if no label was wrong and none is missing
    spells = (wrong == 0) & (begun == count)
    fits = (broken == 0) & (length >= tl.load(required + row))
    tl.store(spells_out + row, (spells & fits).to(tl.int8))
    tl.store(certain_out + row, tl.sum(certain, 0))
    tl.store(broken_out + row, (broken > 0).to(tl.int8))
    tl.store(walked_out + row, tl.where(fits, length, 0))


def find_main_path(frames: Frames, prepared: PreparedTargets, *, blank: int, normalize: bool) -> MainPath:
    """Decode the best classes and compare them with the targets."""
    batch, time = frames.best.shape
    new = {"device": frames.best.device}
    states = torch.empty((batch, time), dtype=torch.int32, **new)
    spells, broken = (torch.empty(batch, dtype=torch.int8, **new) for _ in range(2))
    certain = torch.empty(batch, dtype=torch.float64, **new)
    walked = torch.empty(batch, dtype=torch.int32, **new)
    if batch:
        launch_kernel(
            _main_path_kernel, batch,
            frames.top, frames.others, frames.best, frames.flags, prepared.labels, prepared.frames, prepared.counts,
            prepared.required, prepared.refused, states, spells, certain, broken, walked,
            time, prepared.labels.shape[1], blank, NORMALIZE=normalize, BLOCK=BLOCK, warps=8,
        )  # fmt: skip
    return MainPath(states, spells, certain, broken, walked)
