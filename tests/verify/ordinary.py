"""Correct CTCs as people write them for themselves: in log space, without any check of their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np


@np.errstate(invalid="ignore", over="ignore")
def log_space(logits: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """NumPy, the forward recursion row by row, in the type of the logits; the loss alone."""
    losses = []
    for x, y, frames, labels in zip(logits, targets, logit_lengths, target_lengths, strict=True):
        x = x[:frames] - x[:frames].max(axis=1, keepdims=True)
        log_probs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        states = np.full(2 * labels + 1, blank)
        states[1::2] = y[:labels]
        skips = np.flatnonzero((states[2:] != blank) & (states[2:] != states[:-2])) + 2
        alphas = np.full(len(states), -np.inf, x.dtype)
        alphas[:2] = log_probs[0, states[:2]]
        for frame in log_probs[1:]:
            total = alphas.copy()
            total[1:] = np.logaddexp(total[1:], alphas[:-1])
            total[skips] = np.logaddexp(total[skips], alphas[skips - 2])
            alphas = total + frame[states]
        losses.append(-np.logaddexp.reduce(alphas[-2:]))
    return np.array(losses, logits.dtype)


def log_space_in_float32(logits: Any, *given: Any) -> Any:
    """The same, whatever the type of the logits."""
    return log_space(logits.astype(np.float32), *given)
