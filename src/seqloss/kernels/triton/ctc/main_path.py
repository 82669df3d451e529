"""The path of each frame's best class: whether it reads as the target, where it stands, and what it costs.

Emissions are relative to their frame's best, so this path has weight 1. If it spells the target, the backward sums
leave it out and keep the digits of all others beside it (`seqloss.formulas.ctc.loss`). Its states are counted as the
target is read: blank 0, label 0, blank 1, label 1, ... are 0, 1, 2, 3.

    certain = sum over frames of log p(best) = -sum log1p(others),      without the softmax, sum of top

is added up in float64, in blocks of a fixed size. What the kernel sees on its way closes or breaks a row.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.frames import Frames
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets
from seqloss.kernels.triton.launch import launch_kernel

BLOCK = 1024
"""Frames at once, always as many, so that no sum's order depends on what shares a batch."""


class MainPath(NamedTuple):
    """What the best classes say of each row.

    Attributes:
        states: int32 (batch, time), the state in which the path stands.
        spells: int8 (batch,), 1 where it reads as the target.
        certain: float64 (batch,).
        broken: int8 (batch,), 1 for rows whose loss is NaN.
        walked: int32 (batch,), the frames that path sums are worth taking over: 0 for rows that are broken or too
            short.
    """

    states: torch.Tensor
    spells: torch.Tensor
    certain: torch.Tensor
    broken: torch.Tensor
    walked: torch.Tensor


@triton.jit
def log1p(x):
    """ln(1 + x) of a float64 from 0 on, to some 1e-12 of itself."""
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
        t = start + tl.arange(0, BLOCK)
        used = t < length
        at = row * time + t
        now = tl.load(best + at, mask=used, other=blank)
        before = tl.load(best + at - 1, mask=used & (t > 0), other=blank)
        on_label = now != blank
        begins = (on_label & (now != before)).to(tl.int32)
        read = begun + tl.cumsum(begins, 0)
        inside = (read > 0) & (read <= count)
        label = tl.load(labels + row * longest + read - 1, mask=inside & used, other=-2)
        wrong = tl.maximum(wrong, tl.max(tl.where(label != now, begins, 0), 0))
        tl.store(states_out + at, 2 * read - on_label.to(tl.int32), mask=used)
        if NORMALIZE:
            certain -= log1p(tl.load(others + at, mask=used, other=0.0).to(tl.float64))
        else:
            certain += tl.load(top + at, mask=used, other=0.0).to(tl.float64)
        broken = tl.maximum(broken, tl.max(tl.load(flags + at, mask=used, other=0).to(tl.int32), 0))
        begun += tl.sum(begins, 0)
        start += BLOCK
    spells = (wrong == 0) & (begun == count)
    fits = (broken == 0) & (length >= tl.load(required + row))
    tl.store(spells_out + row, (spells & fits).to(tl.int8))
    tl.store(certain_out + row, tl.sum(certain, 0))
    tl.store(broken_out + row, (broken > 0).to(tl.int8))
    tl.store(walked_out + row, tl.where(fits, length, 0))


def find_main_path(frames: Frames, prepared: PreparedTargets, *, blank: int, normalize: bool) -> MainPath:
    """Read the best classes as labels, and compare."""
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
