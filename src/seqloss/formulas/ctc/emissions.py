"""Targets and scores made safe to compute with: nothing past here meets a NaN, or a class that is none."""

from __future__ import annotations

from typing import NamedTuple

from seqloss.contract import MASKED, NORMALIZATION_SLACK
from seqloss.formulas.namespace import Array, Namespace

INF = float("inf")


class PreparedTargets(NamedTuple):
    """The targets and all lengths.

    Attributes:
        labels: int32 (batch, labels), the blank where no label is in use.
        lengths: int32 (batch,), from 0 to the labels axis.
        inside: bool (batch, labels), labels in use.
        used: bool (batch, time), frames in use.
        refused: bool (batch,), rows with a label or a length that breaks the contract.
    """

    labels: Array
    lengths: Array
    inside: Array
    used: Array
    refused: Array


class Frames(NamedTuple):
    """The scores.

    Attributes:
        distances: each score less the largest in its frame, (batch, time, classes); -inf for a class that is not read.
        best: the largest's class, int32 (batch, time, 1); -1 where all that is read is masked.
        others: the sum of exp(distance) over the other classes, (batch, time, 1); 0 without softmax.
        certain: log p(best), (batch, time, 1); 0 for frames not in use.
        non_finite: bool (batch,), rows with NaN, +inf or nothing but -inf in a frame in use.
    """

    distances: Array
    best: Array
    others: Array
    certain: Array
    non_finite: Array


def prepare_targets(
    xp: Namespace, logits: Array, targets: Array, logit_lengths: Array, target_lengths: Array, blank: int
) -> PreparedTargets:
    """Lengths cut to their axes, labels to the classes; what had to be cut is `refused`."""
    time, classes, longest = xp.size(logits, 1), xp.size(logits, 2), xp.size(targets, 1)
    lengths = xp.minimum(xp.maximum(target_lengths, 0), longest)
    frames = xp.minimum(xp.maximum(logit_lengths, 0), time)
    inside = xp.arange(longest)[None, :] < lengths[:, None]
    wrong = inside & ((targets < 0) | (targets >= classes) | (targets == blank))
    refused = (lengths != target_lengths) | (frames != logit_lengths) | (xp.sum(xp.as_int(wrong), 1)[:, 0] > 0)
    labels = xp.where(inside & ~wrong, targets, blank)
    return PreparedTargets(labels, lengths, inside, xp.arange(time)[None, :] < frames[:, None], refused)


def read_frames(xp: Namespace, logits: Array, prepared: PreparedTargets, blank: int, normalize: bool) -> Frames:
    """Each frame relative to its largest score; rows that are non-finite become zeros."""
    x = xp.where(prepared.used[:, :, None], logits, 0.0)
    number = xp.arange(xp.size(logits, 2))[None, None, :]
    if not normalize:
        read = (
            xp.sum_by_class(xp.as_float(prepared.inside, logits)[:, None, :], prepared.labels, xp.size(logits, 2)) > 0.5
        )
        x = xp.where(read | (number == blank), x, -INF)
    wrong = (x != x) | (x == INF)
    non_finite = xp.sum(xp.as_int(wrong), 2) > 0  # (batch, time, 1)
    if normalize:
        non_finite = non_finite | (xp.max(xp.where(wrong, 0.0, x), 2) == -INF)
    non_finite = xp.sum(xp.as_int(non_finite), 1) > 0  # (batch, 1, 1)
    x = xp.where(non_finite, 0.0, x)
    top, best = xp.max(x, 2), xp.argmax(x, 2)
    if normalize:
        distances = x - top
        others = xp.sum(xp.where(number == best, 0.0, xp.exp(distances)), 2)
        certain = -xp.log1p(others)
    else:
        closed = top < -MASKED
        best, top = xp.where(closed, -1, best), xp.where(closed, 0.0, top)
        distances, others, certain = x - top, 0.0 * top, top
    certain = xp.where(prepared.used[:, :, None], certain, 0.0)
    return Frames(distances, best, others, certain, non_finite[:, 0, 0])


def has_frame_above_one(xp: Namespace, logits: Array, prepared: PreparedTargets, rounding: float) -> Array:
    """Rows of which a frame in use holds more probability than 1, bool (batch,).

    Args:
        rounding: the slack for scores rounded to a half type, see `seqloss.contract.check_normalized`.
    """
    classes = xp.as_float(xp.arange(1) + xp.size(logits, 2), logits)
    most = 1.0 + NORMALIZATION_SLACK + rounding * xp.log(classes)
    totals = xp.sum(xp.exp(xp.minimum(logits, 80.0)), 2)  # (batch, time, 1)
    wrong = (totals > most) & (xp.max(logits, 2) < INF) & prepared.used[:, :, None]
    return xp.sum(xp.as_int(wrong), 1)[:, 0, 0] > 0
