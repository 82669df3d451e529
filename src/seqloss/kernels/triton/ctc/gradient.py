"""The second pass over the logits: each is read again, and the gradient is written once, times the upstream gradient.

    softmax                                     for a class that is not in the target
    softmax - posterior                         for blank and target
    others' posteriors - (1 - softmax)          the same from complements, where the posterior is above one half

With many classes, most are of the first kind. A program writes all classes of its frames that way, with few
instructions each, and then blank and target again, while the data are in the caches. With few classes, all are written
the second way.

The pass runs when the upstream gradient is known, so that the product is rounded once, to the type of the logits.
Entries below 2^-126 before the multiplication are 0. Frames past a row's length and rows without a path are 0 for any
upstream gradient; broken rows are NaN. Without the softmax, the gradient is -posterior, or that of torch.nn.CTCLoss,
exp(log-probability) - posterior.
"""

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.loss import BROKEN, SMALLEST, WITH_A_PATH
from seqloss.kernels.triton.ctc.prepared_targets import has_few_classes, load_leader
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.kernels.triton.extended_exponent import exp_full_range, exp_nonpositive
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.tiles import cdiv, classes_per_access, classes_tile, power_of_two

SOFTMAX, POSTERIOR, TORCHS = 0, 1, 2
"""Modes of the gradient: softmax - posterior, -posterior, exp(log-probability) - posterior."""


BLOCK = 2048
"""Classes of a block. 64 rows of 500 frames and 5,000 classes take 337 µs on an H200, 394 with 1,024 at once."""


@triton.jit
def _expm1(x, power):
    """e^x - 1, given e^x."""
    near = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334 + x * 0.0013888889)))))
    return tl.where((x > -0.25) & (x < 0.25), near, power - 1.0)


@triton.jit
def _to_bfloat16(x):
    """Round to the nearest bfloat16, ties to even, as float32: Triton's interpreter would truncate."""
    bits = x.to(tl.int32, bitcast=True)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & -0x10000
    return tl.where(x == x, bits.to(tl.float32, bitcast=True), x)


@triton.jit
def _finish_entry(found, used, works, broken, factor):
    """An entry of the gradient before its conversion: flushed, multiplied, 0 past the length, NaN in broken rows."""
    found = tl.where((found < SMALLEST) & (found > -SMALLEST), 0.0, found)
    found = tl.where(used & works, found * factor, 0.0)
    return tl.where(used & broken, float("nan"), found) + 0.0  # no -0.0


@triton.jit
def _store_entries(to, found, inside):
    """Store entries, rounded to the gradient's type; `.cs` marks them for early eviction from the caches."""
    if to.dtype.element_ty == tl.bfloat16:
        found = _to_bfloat16(found)
    tl.store(to, found.to(to.dtype.element_ty), mask=inside, cache_modifier=".cs")


@triton.jit
def _gradient_kernel(
    logits, top, others, posteriors, likeliest, complement, labels, leaders, frames, counts, status, weights,
    upstream, gradient, upstream_step, stride_row, stride_time, stride_class, time, classes, longest, blank,
    ALIGNED: tl.constexpr, MODE: tl.constexpr, BY_CLASS: tl.constexpr, FRAMES: tl.constexpr, CLASSES: tl.constexpr,
    UNITS: tl.constexpr,
):  # fmt: skip
    # 1. the row's state and the factor of its gradient: upstream gradient times the weight of the reduction
    classes = classes * ALIGNED
    blocks = tl.cdiv(time, FRAMES)
    row = (tl.program_id(0) // blocks).to(tl.int64)
    begin = (tl.program_id(0) % blocks) * FRAMES
    state = tl.load(status + row)
    works, broken = state == WITH_A_PATH, state == BROKEN
    length = tl.load(frames + row)
    count = tl.load(counts + row)
    factor = tl.load(upstream + row * upstream_step)
    if weights is not None:
        factor *= tl.load(weights + row)
    # 2. with many classes: all as if they were not in the target, (frames, classes) at a time
    if BY_CLASS == 0:
        t = begin + tl.arange(0, FRAMES)
        used = t < length
        source = logits + (row * stride_row + t.to(tl.int64) * stride_time) * ALIGNED
        out = gradient + (row * time + t) * classes
        largest = tl.load(top + row * time + t, mask=used, other=0.0)
        rest = tl.load(others + row * time + t, mask=used, other=0.0)
        of_best = tl.div_rn(tl.full([FRAMES], 1.0, tl.float32), 1.0 + rest)
        start = 0
        while start < classes:
            number = start + tl.arange(0, CLASSES)
            inside = (t < time)[:, None] & (number < classes)[None, :]
            at = source[:, None] + number.to(tl.int64)[None, :] * stride_class
            read = inside & used[:, None] & works
            if MODE == 0:
                x = tl.load(at, mask=read, other=float("-inf")).to(tl.float32)
                found = tl.exp(x - largest[:, None]) * of_best[:, None]
            elif MODE == 1:
                found = tl.zeros([FRAMES, CLASSES], tl.float32)
            else:
                found = exp_full_range(tl.load(at, mask=read, other=float("-inf")).to(tl.float32))
            _store_entries(
                out[:, None] + number[None, :], _finish_entry(found, used[:, None], works, broken, factor), inside
            )
            start += CLASSES
        tl.debug_barrier()  # some of these entries are stored again below, by other lanes
    # 3. then blank and target, or with few classes all. One flat axis for frames and units gives neighbouring lanes
    #    neighbouring classes in any layout
    flat = tl.arange(0, FRAMES * UNITS)
    own_t = begin + flat // UNITS
    own_used = own_t < length
    own_frame = row * time + own_t
    own_source = logits + (row * stride_row + own_t.to(tl.int64) * stride_time) * ALIGNED
    own_out = gradient + own_frame * classes
    own_likeliest = tl.load(likeliest + own_frame, mask=own_used & works, other=-1)
    beside = tl.load(complement + own_frame, mask=own_used & works, other=0.0)
    own_top, own_rest, units = 0.0, 0.0, classes
    if BY_CLASS == 0:
        units = tl.where(works, count + 1, 0)
    if MODE == 0:
        own_top = tl.load(top + own_frame, mask=own_used, other=0.0)
        own_rest = tl.load(others + own_frame, mask=own_used, other=0.0)
    start = 0
    while start < units:
        unit = start + flat % UNITS
        # 4. which class a unit is, where its posterior is stored, and whether it has one
        place, leads = load_leader(leaders, row, unit, count, longest, classes, BY_CLASS)
        if BY_CLASS:
            number = unit
            inside = (own_t < time) & (unit < classes)
            place = tl.where(unit == blank, longest, place)
            has_posterior = leads | (unit == blank)
        else:
            number = tl.load(labels + row * longest + unit, mask=unit < count, other=blank)
            has_posterior = leads | (unit == count)
            inside = has_posterior & own_used
            place = tl.where(unit == count, longest, place)
        read = inside & own_used & works
        posterior = tl.load(posteriors + own_frame * (longest + 1) + place, mask=read & has_posterior, other=0.0)
        # 5. the entry; for the likeliest class from complements: beside = others' posteriors, missing = 1 - softmax
        best = number == own_likeliest
        found = -posterior
        if MODE != 1:
            x = tl.load(own_source + number.to(tl.int64) * stride_class, mask=read, other=float("-inf")).to(tl.float32)
            if MODE == 0:
                whole = 1.0 + own_rest
                probability = exp_nonpositive(x - own_top) * tl.div_rn(
                    tl.full([FRAMES * UNITS], 1.0, tl.float32), whole
                )
                probability = tl.where(probability < SMALLEST, 0.0, probability)
                missing = tl.where(probability > 0.5, tl.div_rn(own_rest, whole), 1.0 - probability)
                found = tl.where(best, beside - missing, probability - posterior)
            else:
                power = exp_full_range(x)
                found = tl.where(best, beside + _expm1(x, power), power - posterior)
        _store_entries(own_out + number, _finish_entry(found, own_used, works, broken, factor), inside)
        start += UNITS


def write_gradient(
    logits: torch.Tensor,
    residuals: Residuals,
    upstream: torch.Tensor,
    *,
    blank: int,
    mode: int,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """The gradient of sum(upstream * weights * loss), of the logits' shape, contiguous.

    Args:
        logits: (batch, time, classes), the scores from which `residuals` was computed.
        upstream: float32 (batch,), any stride; or () for all rows.
        blank: from 0.
        mode: SOFTMAX, POSTERIOR or TORCHS.
        dtype: of the gradient; None for the logits'.
    """
    batch, time, classes = logits.shape
    gradient = torch.empty((batch, time, classes), dtype=dtype or logits.dtype, device=logits.device)
    tile, few, unit = (
        classes_tile(logits.device, time, classes, BLOCK),
        has_few_classes(classes),
        classes_per_access(logits),
    )
    units = tile.columns if few else min(tile.columns, power_of_two(residuals.labels.shape[1] + 1))
    if batch and time:
        launch_kernel(
            _gradient_kernel, batch * cdiv(time, tile.rows),
            logits, *residuals, upstream, gradient, upstream.stride(0) if upstream.ndim else 0, logits.stride(0) //
            unit, logits.stride(1) // unit, logits.stride(2), time, classes // unit, residuals.labels.shape[1], blank,
            ALIGNED=unit, MODE=mode, BY_CLASS=few, FRAMES=tile.rows, CLASSES=tile.columns, UNITS=units,
            warps=tile.warps,
        )  # fmt: skip
    return gradient
