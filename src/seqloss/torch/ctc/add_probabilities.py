"""The gradient of torch.nn.CTCLoss from the one of the contract."""

from __future__ import annotations

import numpy as np

from seqloss.numpy.ctc.rows import Rows


def add_probabilities(log_probs: np.ndarray, rows: Rows, weights: np.ndarray | None) -> None:
    """Turn the gradient of the contract, -posterior, into the one of torch, exp(log_prob) - posterior, in place.

    Both terms are near 1 where a model is confident and right. There the difference of the complements is used, which
    loses no digits. With x the log-probability and γ the posterior of the most probable class of a frame:

        exp(x) - γ = expm1(x) + Σ others' γ

    Args:
        log_probs: (batch, time, classes).
        rows: the gradient to change; frames of `zero_gradient` stay 0.
        weights: (batch,), the factor of each row's gradient; None for 1.
    """
    assert rows.gradient is not None
    open_frames = ~rows.zero_gradient
    longest = int(open_frames.sum(axis=1).max(initial=0))  # frames in use come first; padding is not touched
    log_probs, gradient, open_frames = log_probs[:, :longest], rows.gradient[:, :longest], open_frames[:, :longest]
    best = gradient.argmin(axis=2, keepdims=True)  # the largest posterior of each frame
    largest = -np.take_along_axis(gradient, best, 2)
    np.put_along_axis(gradient, best, 0.0, 2)
    others = gradient.sum(axis=2, dtype=np.float64, keepdims=True)  # minus the sum of the other posteriors
    np.put_along_axis(gradient, best, -largest, 2)
    with np.errstate(all="ignore"):  # scores can have any value
        gradient += np.exp(log_probs)
        x = np.take_along_axis(log_probs, best, 2)
        careful = np.expm1(x.astype(np.float64)) - others
        np.put_along_axis(gradient, best, np.where(largest > 0.5, careful, np.exp(x) - largest), 2)
        if weights is not None:
            gradient *= weights[:, None, None]
    if not open_frames.all():
        gradient[~open_frames] = 0.0
