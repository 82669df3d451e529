"""The contract that every door keeps, as code: validate once, feasibility, reductions.

A door turns its framework's arguments into NumPy arrays, calls `validate`, hands the resulting `Batch` to a
kernel, and reduces with `reduction_weights`. Nothing here knows a framework, and nothing past here checks an
argument again.

Words: batch N, time T, classes C, labels L. The symbols in brackets are Graves' (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from seqloss import errors

Infeasible = Literal["inf", "zero", "raise"]
Reduction = Literal["none", "sum", "mean", "batch", "labels"]

NORMALIZATION_SLACK = 1e-3
"""With `normalize=False`, how far above 1 a frame's probabilities may add up."""

SMALLEST = 2.0**-126
"""Entries of a gradient under this, float32's smallest normal number, are exactly 0: some hosts flush them anyway."""

EXP_MOST = 700.0

BLOCK = 1 << 16
"""Scores whose exponentials are in hand at once, so that they stay in the processor's cache."""

MASKED = 1e8
"""A score this many nats below its frame's largest counts as -inf: people write float minimum for a mask."""


@dataclass(frozen=True)
class Batch:
    """What a kernel takes beside the scores; every entry is checked unless `validate=False` was asked for.

    Attributes:
        targets: int64 (batch, labels), C-contiguous; entries past a row's length are never read.
        logit_lengths: int64 (batch,), frames in use.
        target_lengths: int64 (batch,), labels in use.
        blank: the blank's class, from 0.
    """

    targets: np.ndarray
    logit_lengths: np.ndarray
    target_lengths: np.ndarray
    blank: int


def validate(
    shape: tuple[int, ...],
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    values: bool = True,
) -> Batch:
    """Hold the arguments of a loss against the contract and bring them into one form.

    Args:
        shape: of the logits: (batch, time, classes).
        targets: integers (batch, labels), or all labels one row after another (sum of target_lengths,).
        logit_lengths: integers (batch,), frames; None for the whole time axis.
        target_lengths: integers (batch,), labels; None for the whole label axis.
        blank: any class; negative counts from the end.
        values: look at labels and lengths too; without it only ranks, sizes and types are checked, and a
            kernel answers a row that breaks the contract with NaN.

    Returns:
        the `Batch` for a kernel.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as the contract says.
    """
    if len(shape) != 3:
        raise errors.wrong_rank("logits", shape, "(batch, time, classes)", "Add a batch axis with logits[None].")
    batch, time, classes = shape
    blank = _blank(blank, classes)
    labels = _integers("targets", targets)
    frames = _lengths("logit_lengths", logit_lengths, batch, time)
    if labels.ndim == 1:
        labels, counts = _pad(labels, target_lengths, batch)
    elif labels.ndim == 2:
        if labels.shape[0] != batch:
            raise errors.wrong_batch("targets", labels.shape[0], batch)
        counts = _lengths("target_lengths", target_lengths, batch, labels.shape[1])
    else:
        raise errors.wrong_rank("targets", labels.shape, "(batch, labels) or (sum of target_lengths,)")
    if values:
        if logit_lengths is not None:
            _check_lengths("logit_lengths", frames, time, "time")
        if target_lengths is not None:
            _check_lengths("target_lengths", counts, labels.shape[1], "labels")
        _check_labels(labels, counts, classes, blank)
    targets, frames, counts = (np.ascontiguousarray(array, np.int64) for array in (labels, frames, counts))
    return Batch(targets, frames, counts, blank)


def bad_rows(shape: tuple[int, ...], batch: Batch) -> dict[int, errors.SeqLossError]:
    """Every row whose lengths or labels `validate` would refuse, with what it would say.

    Args:
        shape: of the logits.
        batch: from `validate(..., values=False)`.
    """
    _, time, classes = shape
    labels = batch.targets.shape[1]
    found: dict[int, errors.SeqLossError] = {}
    for name, lengths, limit, axis in (
        ("logit_lengths", batch.logit_lengths, time, "time"),
        ("target_lengths", batch.target_lengths, labels, "labels"),
    ):
        for row in np.flatnonzero((lengths < 0) | (lengths > limit)):
            found.setdefault(int(row), errors.wrong_length(name, int(row), int(lengths[row]), limit, axis))
    wrong = _wrong_labels(batch.targets, batch.target_lengths, classes, batch.blank)
    for row in np.flatnonzero(wrong.any(axis=1)):
        position = int(np.argmax(wrong[row]))
        label = int(batch.targets[row, position])
        found.setdefault(int(row), errors.wrong_label(int(row), position, label, classes, batch.blank))
    return dict(sorted(found.items()))


def check_options(infeasible: str, reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for a word that the contract does not know."""
    if infeasible not in get_args(Infeasible):
        raise errors.unknown_option("infeasible", infeasible, get_args(Infeasible))
    if reduction not in get_args(Reduction):
        raise errors.unknown_option("reduction", reduction, get_args(Reduction))
    if denominator is not None and reduction != "sum":
        raise errors.OptionError(
            f'denominator: goes with reduction="sum" only, found reduction={reduction!r}; '
            "it divides the sum over a batch by a number of yours."
        )
    if denominator is not None and not _positive(denominator):
        raise errors.OptionError(f"denominator: expected a positive number, found {denominator!r}.")


def adjacent_repeats(targets: np.ndarray, target_lengths: np.ndarray) -> np.ndarray:
    """Count per row the labels that equal the one before them; each needs a blank between, hence one more frame."""
    if targets.shape[1] < 2:
        return np.zeros(targets.shape[0], np.int64)
    inside = np.arange(1, targets.shape[1]) < target_lengths[:, None]  # (batch, labels - 1)
    return ((targets[:, 1:] == targets[:, :-1]) & inside).sum(axis=1, dtype=np.int64)


def required_frames(targets: np.ndarray, target_lengths: np.ndarray) -> np.ndarray:
    """The fewest frames that fit each row: its labels and its adjacent repeats."""
    return target_lengths + adjacent_repeats(targets, target_lengths)


def infeasible_row(row: int, batch: Batch) -> errors.InfeasibleError:
    """What to say of a row that no path fits."""
    repeats = adjacent_repeats(batch.targets[row : row + 1], batch.target_lengths[row : row + 1])
    return errors.infeasible_row(row, int(batch.logit_lengths[row]), int(batch.target_lengths[row]), int(repeats[0]))


def refuse_too_few_frames(shape: tuple[int, ...], batch: Batch) -> None:
    """Raise `InfeasibleError` for the first row with fewer frames than labels and adjacent repeats.

    A row that `validate` would refuse is left to the loss, which answers it with NaN.

    Args: as `bad_rows`.
    """
    short = batch.logit_lengths < required_frames(batch.targets, batch.target_lengths)
    if short.any():
        short[list(bad_rows(shape, batch))] = False
    if short.any():
        raise infeasible_row(int(np.argmax(short)), batch)


def check_normalized(log_probs: np.ndarray, logit_lengths: np.ndarray, rounding: float = 0.0) -> None:
    """Raise `NormalizationError` where a frame in use holds more probability than 1.

    All classes count, read by the loss or not: this is how raw scores are told from log-probabilities. A
    frame with a NaN or +inf is left to the loss, which answers it with NaN if that class is read.

    Args:
        log_probs: (batch, time, classes).
        logit_lengths: int64 (batch,).
        rounding: twice the unit roundoff u of the type that the caller's scores came in, where it is a half type. A
            `log_softmax` in that type rounds x - m (m the frame's largest score), log s (s the sum of exp(x - m)) and
            their difference, the log-probability. So a frame's sum is off by up to u (E|x - m| + log s + H) = 2 u H,
            where H, the mean of minus the log-probability, is at most log(classes).
    """
    frames = np.arange(log_probs.shape[1]) < logit_lengths[:, None]  # (batch, time)
    doubtful = ~(_sums(log_probs) < 1.0 + NORMALIZATION_SLACK / 2) & frames
    for row in np.flatnonzero(doubtful.any(axis=1)):
        error = not_normalized(log_probs[row, : logit_lengths[row]], int(row), rounding)
        if error:
            raise error


def _sums(log_probs: np.ndarray) -> np.ndarray:
    """The probability in each frame, (batch, time), to some 1e-6: in the scores' own type, a block at a time."""
    rows, time, classes = log_probs.shape
    sums = np.zeros((rows, time), log_probs.dtype)
    frames = max(1, min(time, BLOCK // max(1, classes)))
    several = max(1, BLOCK // max(1, frames * classes)) if frames == time else 1
    space = np.empty(min(rows, several) * frames * classes, log_probs.dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for row in range(0, rows, several):
            for frame in range(0, time, frames):
                block = log_probs[row : row + several, frame : frame + frames]
                powers = np.exp(block, out=space[: block.size].reshape(block.shape))
                powers.sum(axis=2, out=sums[row : row + several, frame : frame + frames])
    return sums


def not_normalized(log_probs: np.ndarray, row: int, rounding: float = 0.0) -> errors.NormalizationError | None:
    """What `check_normalized` says of one row's frames (time, classes), or None."""
    most = 1 + NORMALIZATION_SLACK + rounding * np.log(max(1, log_probs.shape[1]))
    scores = log_probs.astype(np.float64)
    with np.errstate(under="ignore"):
        totals = np.exp(np.minimum(scores, EXP_MOST)).sum(axis=1)  # (time,)
    wrong = np.flatnonzero((totals > most) & (scores.max(axis=1, initial=0.0) < np.inf))
    return errors.not_normalized(row, int(wrong[0]), float(totals[wrong[0]])) if wrong.size else None


def reduction_weights(reduction: Reduction, target_lengths: np.ndarray, denominator: float | None = None) -> np.ndarray:
    """The weight of each row in the reduced loss, which is the sum of weight times loss.

    =========  ==================================================
    reduction  weight of row n
    =========  ==================================================
    "sum"      1 / denominator (1 without one)
    "mean"     1 / (max(1, its target length) * batch)
    "batch"    1 / batch
    "labels"   1 / max(1, all target lengths)
    =========  ==================================================

    Lengths that break the contract (possible with `validate=False` alone) count as 0.
    """
    rows = target_lengths.shape[0]
    counts = np.maximum(target_lengths, 0).astype(np.float64)
    if reduction == "mean":
        return 1.0 / (np.maximum(counts, 1.0) * max(1, rows))
    divisors = {"sum": denominator or 1.0, "batch": max(1, rows), "labels": max(1.0, counts.sum())}
    return np.full(rows, 1.0 / divisors[reduction])


def _positive(value: Any) -> bool:
    """Whether a number can divide a float32 sum; True and "3" are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and SMALLEST <= float(value) < np.inf


def _blank(blank: Any, classes: int) -> int:
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)):
        raise errors.wrong_dtype("blank", type(blank).__name__, "an int")
    if not -classes <= blank < classes:
        raise errors.wrong_blank(int(blank), classes)
    return int(blank) % classes


def _integers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of uneven length
        raise errors.ShapeError(
            f"{name}: found rows of uneven length; pad them to one length and give target_lengths."
        ) from None
    if array.dtype.kind in "iu":
        return array
    if array.size == 0 and not isinstance(values, np.ndarray):  # an empty list has no type of its own
        return array.astype(np.int64)
    raise errors.wrong_dtype(name, array.dtype, "integers")


def _lengths(name: str, values: Any, batch: int, whole: int) -> np.ndarray:
    if values is None:
        return np.full(batch, whole, np.int64)
    array = _integers(name, values)
    if array.ndim != 1:
        raise errors.wrong_rank(name, array.shape, "(batch,)")
    if array.shape[0] != batch:
        raise errors.wrong_batch(name, array.shape[0], batch)
    return array


def _pad(labels: np.ndarray, target_lengths: Any, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows one after another, (sum of lengths,), into (batch, longest)."""
    if target_lengths is None:
        raise errors.wrong_rank(
            "targets", labels.shape, "(batch, labels)", "Concatenated 1-D targets need target_lengths."
        )
    counts = _lengths("target_lengths", target_lengths, batch, 0)
    _check_lengths("target_lengths", counts, labels.shape[0], "labels")
    if counts.sum() != labels.shape[0]:
        raise errors.LengthError(
            f"target_lengths: they add up to {counts.sum()}, expected {labels.shape[0]}, "
            "the number of concatenated labels; a concatenated target has no padding."
        )
    padded = np.zeros((batch, int(counts.max(initial=0))), labels.dtype)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = labels
    return padded, counts


def _check_lengths(name: str, lengths: np.ndarray, limit: int, axis: str) -> None:
    wrong = np.flatnonzero((lengths < 0) | (lengths > limit))
    if wrong.size:
        raise errors.wrong_length(name, int(wrong[0]), int(lengths[wrong[0]]), limit, axis)


def _check_labels(labels: np.ndarray, counts: np.ndarray, classes: int, blank: int) -> None:
    wrong = _wrong_labels(labels, counts, classes, blank)
    if wrong.any():
        rows, positions = np.nonzero(wrong)
        row, position = int(rows[0]), int(positions[0])
        raise errors.wrong_label(row, position, int(labels[row, position]), classes, blank)


def _wrong_labels(labels: np.ndarray, counts: np.ndarray, classes: int, blank: int) -> np.ndarray:
    """Labels in use that are no class of their own, bool (batch, labels)."""
    wrong = (labels < 0) | (labels >= classes) | (labels == blank)
    if wrong.any():
        wrong &= np.arange(labels.shape[1]) < counts[:, None]
    return wrong
