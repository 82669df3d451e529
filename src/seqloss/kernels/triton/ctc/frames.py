"""The first pass over the logits: each is read once, and per frame the input of path sums and gradient remains.

    top     the largest score        best    its class, the lowest of equals
    others  sum over all classes but best of exp(score - top)

log p(best) = -log1p(others), so that a confident frame keeps its digits. About a thousand classes are in registers at
once (an online softmax):

1. find their largest score; if it exceeds the largest so far, rescale: others = (others + 1) exp(top - new top);
2. add the exponentials of the scores below it, each lane its own;
3. in the end, add the lanes pairwise, in an order that does not depend on the layout.

Most instructions of the pass are one exponential per class. It is the device's own, accurate to about 2^-22
(`extended_exponent.exp_approximate`).

With labels, the same program then gathers the scores of blank and labels, which are still in the caches, and stores
their emissions exp(score - top) as extended-exponent numbers. The sums over paths read nothing else, so that their
sequential recursion does not wait for a gather. The rounding error of score - top is added to the remainder of the
exponential. With `normalize=False`, only the classes of blank and target are read, and others is 0. A frame in which
all of them are below -1e8 has top 0 and best -1.

Frames past a row's length are not read. Any strides are allowed.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)
# mypy: disable-error-code="misc, var-annotated"

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.contract import NORMALIZATION_SLACK
from seqloss.kernels.triton.extended_exponent import (
    MASKED,
    exp_approximate,
    exp_extended,
    exp_nonpositive,
    pack,
    two_difference,
)
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.pairs import sum_pairwise
from seqloss.kernels.triton.tiles import cdiv, classes_per_access, classes_tile, power_of_two

NON_FINITE = 1
"""The flag of a frame with a NaN, +inf or only -inf."""

BLOCK = 512
"""Classes of a block. 64 rows of 500 frames and 5,000 classes take 176 µs on an H200, 191 with 1,024 at once."""

INF = tl.constexpr(float("inf"))
NO_CLASS = tl.constexpr(2**31 - 1)


class Frames(NamedTuple):
    """The result of the first pass; past a row's length top and others are 0, best is -1.

    Attributes:
        top, others: float32 (batch, time).
        best: int32 (batch, time).
        flags: int8 (batch, time), the sum of NON_FINITE and, if the probabilities of a frame add up to more than 1, 2;
            the numbers of non-finite frames are undefined.
        emissions: int64 (batch, time, labels + 1), exp(score - top) of each label in use, and of the blank in the last
            place, as packed extended-exponent numbers (`extended_exponent.pack`), zero below -1e8. The rest, and frames
            past a row's length, are not initialised. None without labels.
    """

    top: torch.Tensor
    others: torch.Tensor
    best: torch.Tensor
    flags: torch.Tensor
    emissions: torch.Tensor | None


@triton.jit
def _merge_block(x, number, inside, top, best, bad):
    """Update top, best and bad of each frame with one more block of scores, (frames, classes)."""
    wrong = ((x != x) | (x == INF)) & inside
    bad = bad | (tl.max(wrong.to(tl.int32), 1) > 0)
    x = tl.where(wrong | (inside == 0), -INF, x)
    block_top = tl.max(x, 1)
    block_best = tl.min(tl.where((x == block_top[:, None]) & inside, number, NO_CLASS), 1)
    best = tl.where(block_top > top, block_best, tl.where(block_top == top, tl.minimum(best, block_best), best))
    return tl.maximum(top, block_top), best, bad


@triton.jit
def _scan_all_classes(
    logits, frame, used, stride_class, classes, FRAMES: tl.constexpr, CLASSES: tl.constexpr, PARTS: tl.constexpr
):  # fmt: skip
    """top, best, others and whether a frame is non-finite, PARTS * CLASSES scores at a time.

    The scores stay in registers between the search for the largest and the exponentials. The layout of a block is
    chosen by the compiler, so that each lane adds only its own classes until the pairwise sum at the end.
    """
    top = tl.full([FRAMES], -INF, tl.float32)
    best = tl.full([FRAMES], NO_CLASS, tl.int32)
    before = tl.zeros([FRAMES], tl.float32)  # best classes of earlier blocks that are no longer the best
    lane_others = tl.zeros([FRAMES, CLASSES], tl.float32)
    lane = tl.arange(0, CLASSES)
    start = 0
    while start < classes:
        # 1. load PARTS blocks; lane_top: (frames, classes), NaN if a score is NaN
        scores = ()
        lane_top = tl.full([FRAMES, CLASSES], -INF, tl.float32)
        for i in tl.static_range(PARTS):
            number = start + i * CLASSES + lane
            inside = (number < classes)[None, :] & used[:, None]
            at = logits + frame[:, None] + number.to(tl.int64)[None, :] * stride_class
            x = tl.load(at, mask=inside, other=-INF).to(tl.float32)
            lane_top = tl.maximum(lane_top, x, propagate_nan=tl.PropagateNan.ALL)
            scores = scores + (x,)
        # 2. the largest so far; NaN counts as +inf, which marks the frame at the end
        block_top = tl.max(tl.where(lane_top != lane_top, INF, lane_top), 1)
        higher = block_top > top
        new_top = tl.maximum(top, block_top)
        # 3. rescale the sums of earlier blocks; their best class, whose exponential was 1, becomes one of the others
        base = tl.where(new_top == -INF, 0.0, new_top)
        power = exp_nonpositive(top - base)
        before = tl.where(higher, (before + 1.0) * power, before)
        lane_others = lane_others * power[:, None]
        # 4. add the exponentials below the largest; scores equal to it are counted, and the lowest class remembered.
        #    Parts are visited from the last to the first, so that the lowest class of a lane is written last
        lane_best = tl.full([FRAMES, CLASSES], NO_CLASS, tl.int32)
        lane_equals = tl.zeros([FRAMES, CLASSES], tl.float32)
        for i in tl.static_range(PARTS):
            x = scores[PARTS - 1 - i]
            equals = x == base[:, None]
            lane_others = tl.where(equals, lane_others, lane_others + exp_approximate(x - base[:, None]))
            lane_best = tl.where(equals, start + (PARTS - 1 - i) * CLASSES + lane[None, :], lane_best)
            lane_equals = tl.where(equals, lane_equals + 1.0, lane_equals)
        # 5. of all scores equal to the largest, one is the best class, the others count 1 each
        block_best = tl.min(lane_best, 1)
        is_best = (lane_best == block_best[:, None]) & higher[:, None]
        lane_others += tl.where(is_best, lane_equals - 1.0, lane_equals)
        best = tl.where(higher, block_best, best)
        top = new_top
        start += PARTS * CLASSES
    others = before + sum_pairwise(lane_others, FRAMES, CLASSES)
    return top, best, others, (top == INF) | (top == -INF)


@triton.jit
def _sum_probabilities(logits, frame, used, stride_class, classes, FRAMES: tl.constexpr, CLASSES: tl.constexpr):
    """The sum of a frame's probabilities, given their logarithms; NaN if a score is NaN or +inf."""
    total = tl.zeros([FRAMES], tl.float32)
    start = 0
    while start < classes:
        number = start + tl.arange(0, CLASSES)
        inside = (number < classes)[None, :] & used[:, None]
        x = tl.load(logits + frame[:, None] + number.to(tl.int64)[None, :] * stride_class, mask=inside, other=-INF)
        x = x.to(tl.float32)
        none = (x != x) | (x == INF)
        total += tl.sum(tl.where(none, float("nan"), tl.exp(tl.minimum(tl.where(none, 0.0, x), 80.0))), 1)
        start += CLASSES
    return total


@triton.jit
def _frames_kernel(
    logits, lengths, labels, counts, top_out, others_out, best_out, flags_out, emissions_out,
    stride_row, stride_time, stride_class, time, classes, longest, blank, most,
    ALIGNED: tl.constexpr, NORMALIZE: tl.constexpr, LABELS: tl.constexpr, CHECK: tl.constexpr,
    FRAMES: tl.constexpr, CLASSES: tl.constexpr, PARTS: tl.constexpr, GATHERED: tl.constexpr,
):  # fmt: skip
    # classes and strides come in units of ALIGNED, see `tiles.classes_per_access`
    classes = classes * ALIGNED
    blocks = tl.cdiv(time, FRAMES)
    row = (tl.program_id(0) // blocks).to(tl.int64)
    t = (tl.program_id(0) % blocks) * FRAMES + tl.arange(0, FRAMES)
    length = tl.load(lengths + row).to(tl.int64)
    used = (t < length) & (t < time)
    frame = (row * stride_row + t.to(tl.int64) * stride_time) * ALIGNED  # (frames,)
    top = tl.full([FRAMES], -INF, tl.float32)
    best = tl.full([FRAMES], NO_CLASS, tl.int32)
    others = tl.zeros([FRAMES], tl.float32)
    bad = tl.full([FRAMES], 0, tl.int1)
    flags = tl.zeros([FRAMES], tl.int32)
    count = 0
    if LABELS:
        count = tl.load(counts + row)
    some = tl.max(used.to(tl.int32), 0) > 0
    # 1. top, best and others of each frame: (frames,)
    if some:
        start = 0
        if NORMALIZE:
            top, best, others, bad = _scan_all_classes(
                logits, frame, used, stride_class, classes, FRAMES, CLASSES, PARTS
            )
        else:  # the classes of labels 0..count-1 and, in place `count`, of the blank
            while start <= count:
                place = start + tl.arange(0, GATHERED)
                number = tl.load(labels + row * longest + place, mask=place < count, other=blank)
                inside = (place <= count)[None, :] & used[:, None]
                at = logits + frame[:, None] + number.to(tl.int64)[None, :] * stride_class
                x = tl.load(at, mask=inside, other=-INF).to(tl.float32)
                top, best, bad = _merge_block(x, number[None, :], inside, top, best, bad)
                start += GATHERED
            closed = top < -MASKED
            top = tl.where(closed, 0.0, top)
            best = tl.where(closed, -1, best)
            if CHECK:
                total = _sum_probabilities(logits, frame, used, stride_class, classes, FRAMES, CLASSES)
                flags = tl.where(used & (total > most), 2, 0)
        top = tl.where(bad | (used == 0), 0.0, top)
        flags = flags | tl.where(bad & used, 1, 0)
    # 2. store them, also past the row's length
    out = row * time + t
    tl.store(top_out + out, tl.where(used, top, 0.0), mask=t < time)
    tl.store(others_out + out, tl.where(used, others, 0.0), mask=t < time)
    tl.store(best_out + out, tl.where(used, best, -1), mask=t < time)
    tl.store(flags_out + out, flags.to(tl.int8), mask=t < time)
    if LABELS:
        if some:
            # 3. emissions. `top` is read again in another layout: the barrier makes the stores above visible to all
            #    lanes. One flat axis for frames and labels gives neighbouring lanes neighbouring labels in any layout
            tl.debug_barrier()
            flat = tl.arange(0, FRAMES * GATHERED)
            own_t = (tl.program_id(0) % blocks) * FRAMES + flat // GATHERED
            own_used = (own_t < length) & (own_t < time)
            own_frame = logits + (row * stride_row + own_t.to(tl.int64) * stride_time) * ALIGNED
            own_top = tl.load(top_out + row * time + own_t, mask=own_used, other=0.0)
            own_emissions = emissions_out + (row * time + own_t) * (longest + 1)
            start = 0
            while start <= count:
                place = start + flat % GATHERED
                number = tl.load(labels + row * longest + place, mask=place < count, other=blank)
                inside = own_used & (place <= count)
                x = tl.load(own_frame + number.to(tl.int64) * stride_class, mask=inside, other=-INF).to(tl.float32)
                distance, lacking = two_difference(x, own_top)
                value, exponent = exp_extended(distance, lacking, distance >= -MASKED)
                to = own_emissions + tl.where(place < count, place, longest)
                tl.store(to, pack(value, exponent), mask=inside)
                start += GATHERED


def measure_frames(
    logits: torch.Tensor,
    logit_lengths: torch.Tensor,
    labels: torch.Tensor | None = None,
    label_counts: torch.Tensor | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    rounding: float | None = None,
) -> Frames:
    """Run the first pass over the logits.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        logit_lengths: integers (batch,) of any type, on the same device; larger ones count as the whole axis.
        labels: int32 (batch, labels), contiguous, valid classes; their emissions are stored too.
        label_counts: int32 (batch,), from 0 to the labels axis.
        blank: from 0.
        normalize: as in the contract; False reads the classes of blank and labels only, and needs labels.
        rounding: with normalize=False, flag frames whose probabilities add up to more than
            1.001 + rounding * log(classes); None does not check.
    """
    batch, time, classes = logits.shape
    longest = 0 if labels is None else labels.shape[1]
    top, others = (torch.empty((batch, time), dtype=torch.float32, device=logits.device) for _ in range(2))
    best = torch.empty((batch, time), dtype=torch.int32, device=logits.device)
    flags = torch.empty((batch, time), dtype=torch.int8, device=logits.device)
    emissions = None
    if labels is not None:
        emissions = torch.empty((batch, time, longest + 1), dtype=torch.int64, device=logits.device)
    tile, unit = classes_tile(logits.device, time, classes, BLOCK, warps=2), classes_per_access(logits)
    slack = 0.0 if rounding is None else NORMALIZATION_SLACK + rounding * math.log(max(1, classes))
    if batch and time:
        launch_kernel(
            _frames_kernel, batch * cdiv(time, tile.rows),
            logits, logit_lengths, labels, label_counts, top, others, best, flags, emissions,
            logits.stride(0) // unit, logits.stride(1) // unit, logits.stride(2), time, classes // unit, longest, blank,
            1.0 + slack, ALIGNED=unit, NORMALIZE=normalize, LABELS=labels is not None, CHECK=rounding is not None,
            FRAMES=tile.rows, CLASSES=tile.columns, PARTS=tile.parts,
            GATHERED=min(tile.columns, power_of_two(longest + 1)),
            warps=tile.warps,
        )  # fmt: skip
    return Frames(top, others, best, flags, emissions)
