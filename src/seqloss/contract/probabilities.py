"""Probabilities where scores or log-probabilities are expected."""

from __future__ import annotations

import numpy as np

from seqloss import errors

SUM_SLACK = 1e-2
"""How far from 1 the sum of a frame's probabilities may be: a softmax in bfloat16 is within 4e-3, and its values may
have been cast to float32 since."""


def look_like_probabilities(frames: np.ndarray, rounding: float = 0.0) -> bool:
    """Whether all frames of a row are in [0, 1] and add up to 1, as after a softmax.

    One class is no evidence: its probability is always 1. Frames of zeros, such as those of a mask, are left out.

    Args:
        frames: the frames in use of one row, (time, classes).
        rounding: as in `check_normalized`. A softmax in a half type rounds exp, their sum and the quotient, so that a
            frame's sum is off by up to two roundings of 1.
    """
    if frames.shape[1] < 2:
        return False
    frames = frames[(frames != 0).any(axis=1)]
    if frames.shape[0] == 0 or not ((frames >= 0) & (frames <= 1)).all():
        return False
    sums = frames.sum(axis=1, dtype=np.float64)
    return bool((np.abs(sums - 1) <= SUM_SLACK + rounding).all())


def probabilities_for_scores(frames: np.ndarray, row: int, rounding: float = 0.0) -> errors.NormalizationError | None:
    """What to say of one row of probabilities that the loss would take for scores before softmax, or None.

    Frames of equal probabilities are left out: a softmax does not change them, and so they may be either.

    Args: as `look_like_probabilities`.
    """
    if not look_like_probabilities(frames, rounding) or (frames == frames[:, :1]).all():
        return None
    return describe_probabilities(frames, row, normalize=True)


def describe_probabilities(frames: np.ndarray, row: int, *, normalize: bool) -> errors.NormalizationError:
    """The error for frames that look like probabilities; it names the first frame of zeros, whose logarithm is -inf."""
    zeros = np.flatnonzero(~frames.any(axis=1))
    return errors.found_probabilities(row, normalize=normalize, zeros=int(zeros[0]) if zeros.size else None)


def refuse_probabilities(
    scores: np.ndarray, logit_lengths: np.ndarray, losses: np.ndarray, rounding: float = 0.0
) -> None:
    """Raise `NormalizationError` for the first row of probabilities where log-probabilities are expected.

    Args:
        scores: (batch, time, classes).
        logit_lengths: int64 (batch,).
        losses: (batch,). Only rows that no path fits or whose loss is not positive are looked at: scores in [0, 1]
            give no other.
        rounding: as in `check_normalized`.
    """
    suspects = ~(losses > 0) | np.isinf(losses)
    if not suspects.any():
        return
    for row in np.flatnonzero(suspects):
        frames = scores[row, : logit_lengths[row]]
        if look_like_probabilities(frames, rounding):
            raise describe_probabilities(frames, int(row), normalize=False)
