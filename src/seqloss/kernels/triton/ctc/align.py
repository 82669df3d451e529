"""The best path of each row of a batch: the launches in order, without waiting for the device.

`maxima.best_steps` runs backward in time, one launch per tile of columns; `trace` follows the steps and reads the path;
`spans` adds log-probabilities. An invalid row, or one with a NaN or +inf in use, is computed as a row without
frames and set to NaN at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from seqloss.kernels.triton.ctc.frames import Frames, measure_frames
from seqloss.kernels.triton.ctc.maxima import best_steps
from seqloss.kernels.triton.ctc.prepared_targets import PreparedTargets, prepare_targets
from seqloss.kernels.triton.ctc.trace import follow_steps, read_path
from seqloss.kernels.triton.launch import launch_kernel, on_device
from seqloss.kernels.triton.spans import elements_per_program, sum_label_spans, sum_rows
from seqloss.kernels.triton.tiles import cdiv, is_interpreted, power_of_two

WARP = 32
DEEPEST = 8
"""The most columns of a lane: its states and the scores of three frames stay in registers."""


class BestPaths(NamedTuple):
    """The best path of each row; -1 (scores: 0) without a path and past a row's lengths.

    Attributes:
        classes: int64 (batch, time); first, last: int64 (batch, labels); scores: float32 (batch, labels).
        totals: float32 (batch,), -inf without a path, NaN in a row that is non-finite or refused.
    """

    classes: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    scores: torch.Tensor
    totals: torch.Tensor


def best_paths(
    logits: torch.Tensor,
    targets: torch.Tensor,
    logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None,
    *,
    blank: int,
    normalize: bool,
    rounding: float | None = None,
) -> BestPaths:
    """The best path of each row.

    Args:
        logits: float16, bfloat16 or float32 (batch, time, classes), any strides.
        targets: integers (batch, labels); logit_lengths, target_lengths: integers (batch,), None for all of an axis; on
            the logits' device. Invalid rows are NaN.
        blank: from 0.
        normalize: as in the contract.
        rounding: see `frames.measure_frames`; rows with a flagged frame are NaN.
    """
    with on_device(logits.device):
        prepared = prepare_targets(
            targets, logit_lengths, target_lengths, time=logits.shape[1], classes=logits.shape[2], blank=blank
        )
        return _best_paths(logits, prepared, blank, normalize, rounding)


def _best_paths(
    logits: torch.Tensor, prepared: PreparedTargets, blank: int, normalize: bool, rounding: float | None
) -> BestPaths:
    frames = measure_frames(
        logits, prepared.frames, prepared.labels, prepared.counts, blank=blank, normalize=normalize, rounding=rounding
    )
    refused = prepared.refused > 0
    non_finite = (frames.flags > 0).any(1) & ~refused
    prepared = prepared._replace(frames=prepared.frames.masked_fill(non_finite | refused, 0))
    steps, reached = _find_steps(logits, frames.top, prepared, blank, normalize)
    found = _read_path(logits, frames, prepared, steps, reached, blank, normalize)
    found.totals.masked_fill_(reached == -torch.inf, -torch.inf).masked_fill_(non_finite | refused, torch.nan)
    in_use = torch.arange(prepared.labels.shape[1], device=logits.device) < prepared.counts[:, None]  # (batch, labels)
    found.scores.masked_fill_(non_finite[:, None] & in_use, torch.nan)
    return found


def _find_steps(
    logits: torch.Tensor, top: torch.Tensor, prepared: PreparedTargets, blank: int, normalize: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps, (batch, time, columns), and the score of each row's best path."""
    batch, time, _ = logits.shape
    columns, new = prepared.labels.shape[1] + 1, {"device": logits.device}
    steps = torch.empty((batch, time, columns), dtype=torch.uint8, **new)
    reached = torch.empty(batch, dtype=torch.float64, **new)
    lanes, parts = _lanes_and_parts(logits.device, columns)
    tiles, rows = cdiv(columns, lanes * parts), _rows_per_program(logits.device, batch, WARP // lanes)
    edges = torch.empty((2, batch, time if tiles > 1 else 0, 2), dtype=torch.float64, **new)
    for number in range(tiles - 1, -1, -1) if batch else ():
        launch_kernel(
            best_steps, cdiv(batch, rows),
            logits, *logits.stride(), prepared.labels, top, prepared.frames, prepared.counts, blank, edges[number % 2 -
            1], edges[number % 2], steps, reached, batch, time, columns - 1, number * lanes * parts,
            NORMALIZE=normalize, FIRST=number == 0, LAST=number == tiles - 1, ROWS=rows, LANES=lanes, PARTS=parts,
            warps=1,
        )  # fmt: skip
    return steps, reached


def _read_path(
    logits: torch.Tensor,
    frames: Frames,
    prepared: PreparedTargets,
    steps: torch.Tensor,
    reached: torch.Tensor,
    blank: int,
    normalize: bool,
) -> BestPaths:
    """Follow the steps from the first state; classes, spans and scores of the path."""
    batch, time, _ = logits.shape
    longest, new = prepared.labels.shape[1], {"device": logits.device}
    states = torch.empty((batch, time), dtype=torch.int32, **new)
    log_probs = torch.empty((batch, time), dtype=torch.float64, **new)
    found = BestPaths(
        torch.empty((batch, time), dtype=torch.int64, **new),
        torch.full((batch, longest), -1, dtype=torch.int64, **new),
        torch.full((batch, longest), -1, dtype=torch.int64, **new),
        torch.zeros((batch, longest), dtype=torch.float32, **new),
        torch.zeros(batch, dtype=torch.float32, **new),
    )
    if batch and time:
        counts = prepared.frames.where(reached > -torch.inf, 0)
        rows, block = _rows_per_program(logits.device, batch, 1), elements_per_program(logits.device, batch * time)
        launch_kernel(follow_steps, cdiv(batch, rows), steps, counts, states, batch, time, longest, ROWS=rows, warps=1)
        launch_kernel(
            read_path, cdiv(batch * time, block),
            logits, *logits.stride(), prepared.labels, frames.top, frames.others, counts, states, blank, found.classes,
            log_probs, found.first, found.last, batch * time, time, longest,
            NORMALIZE=normalize, FRAMES=block,
        )  # fmt: skip
        sum_label_spans(log_probs, found.first, found.last, found.scores)
        sum_rows(log_probs, counts, found.totals)
    return found


def _lanes_and_parts(device: torch.device, columns: int) -> tuple[int, int]:
    """Lanes of a tile, and columns of a lane."""
    if is_interpreted(device):
        return power_of_two(columns), 1
    lanes = min(WARP, power_of_two(columns))
    return lanes, min(DEEPEST, power_of_two(cdiv(columns, lanes)))


def _rows_per_program(device: torch.device, batch: int, on_a_gpu: int) -> int:
    """Rows of a program; in the interpreter, where a program takes the same time for any size, all rows."""
    return power_of_two(min(batch, 64)) if is_interpreted(device) else max(1, on_a_gpu)
