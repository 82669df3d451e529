"""Greedy decoding on the device: the best class of each frame, repeats merged, blanks dropped; one tensor to fetch.

The first pass gives the best class of each frame. A run of one class that is not the blank is a label. It begins where
the class before differs, ends where the class after differs, and its number is the count of beginnings so far. The
log-probability of a frame is -log1p of the sum of the other exponentials. Here it is computed in float64, in a second
pass over the scores, so that label scores agree with the definition to 1e-12.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.ctc.frames import NON_FINITE, measure_frames
from seqloss.kernels.triton.launch import launch_kernel, on_device
from seqloss.kernels.triton.pairs import sum_pairwise
from seqloss.kernels.triton.spans import log_probability_of_best, sum_label_spans, sum_rows
from seqloss.kernels.triton.tiles import cdiv, classes_tile, is_interpreted, power_of_two

BLOCK = 1024
"""Classes of a block."""
TOGETHER = 1024
"""Frames that are decoded at once."""


class Reading(NamedTuple):
    """Decoded labels; all are views of `whole`, int64 (batch, 3 + 4 time), so that one transfer fetches them all.

    Attributes:
        lengths: int64 (batch,), lengths as given.
        counts: int64 (batch,), labels found; of the following, only so many per row are defined.
        labels, first, last: int64 (batch, time).
        label_scores: float64 (batch, time); scores: float64 (batch,), NaN in a non-finite row.
    """

    whole: torch.Tensor
    lengths: torch.Tensor
    counts: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    label_scores: torch.Tensor


def split_reading(whole: torch.Tensor) -> Reading:
    """Split a `Reading`'s tensor into its views, on the device or on the host."""
    time, floats = (whole.shape[1] - 3) // 4, whole.view(torch.float64)
    labels, first, last, _ = whole[:, 3:].split(time, 1) if time else (whole[:, 3:],) * 4
    return Reading(
        whole, whole[:, 0], whole[:, 1], floats[:, 2], labels, first, last, floats[:, 3 + 3 * time :]
    )  # fmt: skip


@triton.jit(do_not_specialize=["time", "classes"])
def _log_probabilities(
    logits, row_step, time_step, class_step, top, best, frame_counts, result, time, classes,
    FRAMES: tl.constexpr, CLASSES: tl.constexpr,
):  # fmt: skip
    """Store the log-probability of each frame's best class, float64 (batch, time)."""
    blocks = tl.cdiv(time, FRAMES)
    n = (tl.program_id(0) // blocks).to(tl.int64)
    t = (tl.program_id(0) % blocks) * FRAMES + tl.arange(0, FRAMES)
    inside = t < tl.load(frame_counts + n)
    line = logits + n * row_step + t.to(tl.int64) * time_step
    largest = tl.load(top + n * time + t, mask=inside, other=0.0).to(tl.float64)
    its_class = tl.load(best + n * time + t, mask=inside, other=-1)
    others = tl.zeros([FRAMES], tl.float64)
    start = 0
    while start < classes:
        c = start + tl.arange(0, CLASSES)
        counted = inside[:, None] & (c < classes)[None, :] & (c[None, :] != its_class[:, None])
        at = line[:, None] + c.to(tl.int64)[None, :] * class_step
        x = tl.load(at, mask=counted, other=float("-inf")).to(tl.float32).to(tl.float64)
        others += sum_pairwise(tl.exp(x - largest[:, None]), FRAMES, CLASSES)
        start += CLASSES
    tl.store(result + n * time + t, log_probability_of_best(others), mask=inside)


@triton.jit(do_not_specialize=["batch", "time", "blank", "step"])
def _runs(
    best, frame_counts, counts, labels, first, last, step, batch, time, blank, ROWS: tl.constexpr, FRAMES: tl.constexpr
):
    """Store labels and their first and last frames one after another; rows are `step` apart."""
    n = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]  # (rows, 1)
    frames = tl.load(frame_counts + n, mask=n < batch, other=0)
    most = tl.max(frames)
    found = tl.zeros_like(frames)
    start = most * 0
    while start < most:
        t = start + tl.arange(0, FRAMES)[None, :]
        inside = t < frames
        at = best + n * time + t
        here = tl.load(at, mask=inside, other=-1)
        before = tl.load(at - 1, mask=inside & (t > 0), other=-1)
        after = tl.load(at + 1, mask=t + 1 < frames, other=-1)
        shown = inside & (here != blank)
        begins, ends = shown & (here != before), shown & (here != after)
        number = n * step + found + tl.cumsum(begins.to(tl.int32), 1) - 1
        tl.store(labels + number, here.to(tl.int64), mask=begins)
        tl.store(first + number, t.to(tl.int64), mask=begins)
        tl.store(last + number, t.to(tl.int64), mask=ends)
        found += tl.sum(begins.to(tl.int32), 1)[:, None]
        start += FRAMES
    tl.store(counts + n * step, found.to(tl.int64), mask=n < batch)


def read_labels(logits: torch.Tensor, logit_lengths: torch.Tensor, *, blank: int, normalize: bool) -> Reading:
    """Decode the best classes of each row.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        logit_lengths: integers (batch,), on the logits' device; clamped to the axis.
        blank: from 0.
        normalize: as in the contract.
    """
    with on_device(logits.device):
        return _read_labels(logits, logit_lengths, blank, normalize)


def _read_labels(logits: torch.Tensor, logit_lengths: torch.Tensor, blank: int, normalize: bool) -> Reading:
    batch, time, classes = logits.shape
    found = split_reading(torch.full((batch, 3 + 4 * time), -1, dtype=torch.int64, device=logits.device))
    found.lengths.copy_(logit_lengths)
    found.counts.zero_()
    found.scores.zero_()
    if not batch or not time:
        return found
    lengths = found.lengths.clamp(0, time).to(torch.int32)
    frames = measure_frames(logits, lengths)
    non_finite = (frames.flags & NON_FINITE > 0).any(1)
    lengths = lengths.masked_fill(non_finite, 0)
    log_probs = frames.top.double()
    if normalize:
        tile = classes_tile(logits.device, time, classes, BLOCK)
        launch_kernel(
            _log_probabilities, batch * cdiv(time, tile.rows),
            logits, *logits.stride(), frames.top, frames.best, lengths, log_probs, time, classes,
            FRAMES=tile.rows, CLASSES=tile.columns, warps=tile.warps,
        )  # fmt: skip
    rows = power_of_two(min(batch, 64)) if is_interpreted(logits.device) else 1
    launch_kernel(
        _runs, cdiv(batch, rows),
        frames.best, lengths, found.counts, found.labels, found.first, found.last, found.whole.stride(0), batch, time,
        blank, ROWS=rows, FRAMES=TOGETHER,
    )  # fmt: skip
    sum_label_spans(log_probs, found.first, found.last, found.label_scores)
    sum_rows(log_probs, lengths, found.scores)
    found.scores.masked_fill_(non_finite, torch.nan)
    return found
