"""What CTC asks of a batch beyond its form: enough frames, and log-probabilities that add up to 1.

The symbols in brackets are Graves' (2006).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from seqloss import errors
from seqloss.contract.arrays import Batch, bad_rows
from seqloss.contract.constants import NORMALIZATION_SLACK
from seqloss.contract.options import check_option
from seqloss.contract.probabilities import describe_probabilities, look_like_probabilities
from seqloss.contract.reductions import check_reduction

Infeasible = Literal["inf", "zero", "raise"]

EXP_MOST = 700.0
"""exp of this is finite in float64."""

BLOCK = 1 << 16
"""Scores whose exponentials are in hand at once, so that they stay in the processor's cache."""


def check_options(infeasible: str, reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for a word that the contract does not know."""
    check_option("infeasible", infeasible, Infeasible)
    check_reduction(reduction, denominator)


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
    if not wrong.size:
        return None
    if look_like_probabilities(log_probs, rounding):
        return describe_probabilities(log_probs, row, normalize=False)
    return errors.not_normalized(row, int(wrong[0]), float(totals[wrong[0]]))
