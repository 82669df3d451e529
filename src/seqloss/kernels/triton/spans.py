"""Log-probabilities of frames, and their sums over the spans of labels and over whole rows, in a fixed order.

The best class of a frame has the probability 1 / (1 + others), where `others` is the sum of exp(x - top) over the other
classes. log1p(others) is computed as log(u) others / (u - 1) with u = 1 + others, rounded: then the rounding of u
cancels, and the 1e-12 of a confident model keeps its digits.

The frames of a label are added one after another. The frames of a row are added in a fixed number of lanes, then the
lanes as a tree. Both orders depend on the row alone, and so do the bits.
"""

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.tiles import cdiv, is_interpreted, power_of_two

LANES = 256
"""Lanes in which a row's frames are added: always the same number, so that bits depend on nothing else."""


def elements_per_program(device: torch.device, size: int) -> int:
    """How many elements of a flat array a program computes, where elements are independent."""
    return min(1 << 14, power_of_two(size)) if is_interpreted(device) else 256


@triton.jit
def log_probability_of_best(others):
    """-log1p(others) in float64."""
    others = others.to(tl.float64)
    u = 1.0 + others
    exact = u == 1.0
    return tl.where(exact, -others, -tl.log(u) * (others / tl.where(exact, 1.0, u - 1.0)))


@triton.jit(do_not_specialize=["count", "time", "labels_axis", "first_step", "last_step", "sums_step"])
def _label_sums(
    log_probs, first, first_step, last, last_step, sums, sums_step, count, time, labels_axis, LABELS: tl.constexpr
):
    """The sum of `log_probs` (batch, time) from a label's first frame to its last, 0 where that is -1."""
    place = tl.program_id(0).to(tl.int64) * LABELS + tl.arange(0, LABELS)
    there = place < count
    n, l = place // labels_axis, place % labels_axis
    t = tl.load(first + n * first_step + l, mask=there, other=-1)
    end = tl.load(last + n * last_step + l, mask=there, other=-1)
    inside = there & (t >= 0)
    most = tl.max(tl.where(inside, end - t + 1, 0), 0)
    total = tl.zeros([LABELS], tl.float64)
    done = most * 0
    while done < most:
        total += tl.load(log_probs + n * time + t, mask=inside & (t <= end), other=0.0)
        t += 1
        done += 1
    tl.store(sums + n * sums_step + l, total, mask=there)


@triton.jit(do_not_specialize=["batch", "time", "sums_step"])
def _row_sums(log_probs, frame_counts, sums, sums_step, batch, time, ROWS: tl.constexpr, LANES: tl.constexpr):
    """The sum of `log_probs` (batch, time) over each row's frames."""
    n = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    frames = tl.load(frame_counts + n, mask=n < batch, other=0)
    most = tl.max(frames, 0)
    total = tl.zeros([ROWS, LANES], tl.float64)
    start = most * 0
    while start < most:
        t = start + tl.arange(0, LANES)[None, :]
        total += tl.load(log_probs + (n * time)[:, None] + t, mask=t < frames[:, None], other=0.0)
        start += LANES
    tl.store(sums + n * sums_step, tl.sum(total, 1), mask=n < batch)


def sum_label_spans(log_probs: torch.Tensor, first: torch.Tensor, last: torch.Tensor, sums: torch.Tensor) -> None:
    """Write to `sums` (batch, labels) the sum of `log_probs` over each label's span.

    Args:
        log_probs: float64 (batch, time).
        first, last: int64 (batch, labels), first and last frame of each label; -1 without one, where the sum is 0.
        sums: float32 or float64, out; the rows of first, last and sums are contiguous.
    """
    count = first.numel()
    if count:
        block = elements_per_program(sums.device, count)
        launch_kernel(
            _label_sums, cdiv(count, block),
            log_probs, first, first.stride(0), last, last.stride(0), sums, sums.stride(0), count, log_probs.shape[1],
            first.shape[1], LABELS=block,
        )  # fmt: skip


def sum_rows(log_probs: torch.Tensor, frame_counts: torch.Tensor, sums: torch.Tensor) -> None:
    """Write to `sums` (batch,) the sum of `log_probs`, float64 (batch, time), over each row's frames."""
    batch, time = log_probs.shape
    if batch:
        rows = power_of_two(min(batch, 64)) if is_interpreted(sums.device) else 1
        launch_kernel(
            _row_sums,
            cdiv(batch, rows),
            log_probs,
            frame_counts,
            sums,
            sums.stride(0),
            batch,
            time,
            ROWS=rows,
            LANES=LANES,
        )
