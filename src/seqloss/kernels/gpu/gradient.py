"""The second row pass: the logits read once more, the gradient written once, with what comes from upstream in it.

    softmax - posterior,    or between their complements where the posterior is the larger part of 1:
    sum of the other posteriors - (1 - softmax)

It runs when the loss is differentiated, so that the gradient is rounded once, to the input's own type, after it was
multiplied. What is under 2^-126 before that is 0. Frames past a row's length, and rows that no path fits, are 0
whatever comes from upstream; broken rows are NaN. Without the softmax the gradient is minus the posterior, or
torch.nn.CTCLoss' own, exp(log-probability) - posterior.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.gpu.launch import start
from seqloss.kernels.gpu.loss import BROKEN, SMALLEST, WITH_A_PATH
from seqloss.kernels.gpu.tiles import cdiv, classes_tile
from seqloss.kernels.gpu.wide import exp_below, exp_of_any

SOFTMAX, POSTERIOR, TORCHS = 0, 1, 2
"""What the gradient is: softmax - posterior, -posterior, exp(log-probability) - posterior."""


class Kept(NamedTuple):
    """What the gradient needs beside the logits.

    Attributes:
        top, others: float32 (batch, time), see `frames.Frames`.
        posteriors: float32 (batch, time, labels + 1), likeliest: int32 (batch, time), complement: float32 (batch,
            time), see `by_class.Posteriors`.
        places: int32 (batch, classes), see `text.Groups`.
        frames: int32 (batch,), in use.
        status: int8 (batch,), see `loss.Losses`.
    """

    top: torch.Tensor
    others: torch.Tensor
    posteriors: torch.Tensor
    likeliest: torch.Tensor
    complement: torch.Tensor
    places: torch.Tensor
    frames: torch.Tensor
    status: torch.Tensor


@triton.jit
def _expm1(x, power):
    """e^x - 1, given e^x."""
    near = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334 + x * 0.0013888889)))))
    return tl.where((x > -0.25) & (x < 0.25), near, power - 1.0)


@triton.jit
def _to_bfloat16(x):
    """The nearest bfloat16, even among equals, still as a float32: Triton's interpreter would cut."""
    bits = x.to(tl.int32, bitcast=True)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & -0x10000
    return tl.where(x == x, bits.to(tl.float32, bitcast=True), x)


@triton.jit
def _gradient_kernel(
    logits, top, others, posteriors, likeliest, complement, places, frames, status, upstream, gradient,
    upstream_step, stride_row, stride_time, stride_class, time, classes, longest, blank,
    MODE: tl.constexpr, FRAMES: tl.constexpr, CLASSES: tl.constexpr,
):  # fmt: skip
    class_blocks = tl.cdiv(classes, CLASSES)
    time_blocks = tl.cdiv(time, FRAMES)
    program = tl.program_id(0)
    number = (program % class_blocks) * CLASSES + tl.arange(0, CLASSES)
    t = (program // class_blocks % time_blocks) * FRAMES + tl.arange(0, FRAMES)
    row = (program // class_blocks // time_blocks).to(tl.int64)
    state = tl.load(status + row)
    length = tl.load(frames + row)
    used = t < length
    out = gradient + ((row * time + t) * classes)[:, None] + number[None, :]
    writes = (t < time)[:, None] & (number < classes)[None, :]
    found = tl.zeros([FRAMES, CLASSES], tl.float32)
    if state == WITH_A_PATH:
        inside = used[:, None] & (number < classes)[None, :]
        place = tl.load(places + row * classes + number, mask=number < classes, other=-1)
        place = tl.where(number == blank, longest, place)
        line = ((row * time + t) * (longest + 1))[:, None]
        posterior = tl.load(posteriors + line + place[None, :], mask=inside & (place >= 0)[None, :], other=0.0)
        best = number[None, :] == tl.load(likeliest + row * time + t, mask=used, other=-1)[:, None]
        beside = tl.load(complement + row * time + t, mask=used, other=0.0)[:, None]
        found = -posterior
        if MODE != 1:
            at = (
                row * stride_row + (t.to(tl.int64) * stride_time)[:, None] + number.to(tl.int64)[None, :] * stride_class
            )
            x = tl.load(logits + at, mask=inside, other=0.0).to(tl.float32)
            if MODE == 0:
                x -= tl.load(top + row * time + t, mask=used, other=0.0)[:, None]
                rest = tl.load(others + row * time + t, mask=used, other=0.0)
                probability = exp_below(x) * tl.div_rn(tl.full([FRAMES], 1.0, tl.float32), 1.0 + rest)[:, None]
                probability = tl.where(probability < SMALLEST, 0.0, probability)
                missing = tl.where(probability > 0.5, tl.div_rn(rest, 1.0 + rest)[:, None], 1.0 - probability)
                found = tl.where(best, beside - missing, probability - posterior)
            else:
                power = exp_of_any(x)
                found = tl.where(best, beside + _expm1(x, power), power - posterior)
        found = tl.where((found < SMALLEST) & (found > -SMALLEST), 0.0, found)
        found = tl.where(used[:, None], found * tl.load(upstream + row * upstream_step), 0.0)
    if state == BROKEN:
        found = tl.where(used[:, None], float("nan"), found)
    found += 0.0  # no -0.0
    if gradient.dtype.element_ty == tl.bfloat16:
        found = _to_bfloat16(found)
    tl.store(out, found.to(gradient.dtype.element_ty), mask=writes)


def write_gradient(
    logits: torch.Tensor, kept: Kept, upstream: torch.Tensor, *, blank: int, mode: int, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """The gradient of sum(upstream * loss), of the logits' shape, contiguous.

    Args:
        logits: (batch, time, classes), the very scores that `kept` is of.
        upstream: float32 (batch,), any stride.
        blank: from 0.
        mode: SOFTMAX, POSTERIOR or TORCHS.
        dtype: of the gradient; None for the logits'.
    """
    batch, time, classes = logits.shape
    gradient = torch.empty((batch, time, classes), dtype=dtype or logits.dtype, device=logits.device)
    tile = classes_tile(logits.device, time, classes)
    if batch and time:
        start(
            _gradient_kernel, batch * cdiv(time, tile.rows) * cdiv(classes, tile.columns),
            logits, *kept, upstream, gradient, upstream.stride(0), *logits.stride(), time, classes,
            kept.posteriors.shape[2] - 1, blank,
            MODE=mode, FRAMES=tile.rows, CLASSES=tile.columns, warps=tile.warps,
        )  # fmt: skip
    return gradient
