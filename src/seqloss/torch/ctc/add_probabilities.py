"""The gradient of torch.nn.CTCLoss from the one of the contract."""

from __future__ import annotations

import numpy as np

from seqloss.numpy.ctc.rows import Rows


def add_probabilities(log_probs: np.ndarray, rows: Rows) -> None:
    """Turn the gradient of the contract, -posterior, into the one of torch, exp(log_prob) - posterior, in place.

    Both terms are near 1 where a model is confident and right. There the difference of the complements is used, which
    loses no digits. With x the log-probability and γ the posterior of the most probable class of a frame:

        exp(x) - γ = expm1(x) + Σ others' γ

    Args:
        log_probs: (batch, time, classes).
        rows: the gradient to change; frames of `zero_gradient` stay 0.
    """
    assert rows.gradient is not None
    frames = (~rows.zero_gradient).sum(axis=1)  # (batch,)
    for row, used in enumerate(frames):
        _add_frames(log_probs[row, :used], rows.gradient[row, :used])


def _add_frames(log_probs: np.ndarray, gradient: np.ndarray) -> None:
    frames = np.arange(gradient.shape[0])
    best = gradient.argmin(axis=1)  # (time,), the largest posterior
    largest = -gradient[frames, best]
    gradient[frames, best] = 0.0
    others = gradient.sum(axis=1, dtype=np.float64)
    gradient[frames, best] = -largest
    sure = np.flatnonzero(largest > 0.5)
    best = best[sure]
    with np.errstate(all="ignore"):  # scores can have any value
        gradient += np.exp(log_probs)
        gradient[sure, best] = np.expm1(log_probs[sure, best].astype(np.float64)) - others[sure]
