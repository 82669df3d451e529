"""Losses of single steps by the definition: loops in float64, one step at a time, and their gradients by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def is_real(n: int, t: int, lengths: Any = None, mask: Any = None) -> bool:
    return (lengths is None or t < lengths[n]) and (mask is None or bool(mask[n][t]))


def cross_entropy(
    logits: np.ndarray, targets: np.ndarray, lengths: Any = None, mask: Any = None, padding: Any = None,
    smoothing: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The loss of each step, its gradient, and which steps are real."""
    batch, time, classes = logits.shape
    losses, grads, real = np.zeros((batch, time)), np.zeros(logits.shape), np.zeros((batch, time), bool)
    for n in range(batch):
        for t in range(time):
            if not is_real(n, t, lengths, mask) or targets[n, t] == padding:
                continue
            real[n, t] = True
            top = max(logits[n, t])
            log_sum = top + math.log(sum(math.exp(score - top) for score in logits[n, t]))
            for c in range(classes):
                share = smoothing / classes + (1 - smoothing) * (c == targets[n, t])
                losses[n, t] += share * (log_sum - logits[n, t, c])
                grads[n, t, c] = math.exp(logits[n, t, c] - log_sum) - share
    return losses, grads, real


def error(
    kind: str, predictions: np.ndarray, targets: np.ndarray, lengths: Any = None, mask: Any = None, padding: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for "squared" or "absolute" error."""
    batch, time = predictions.shape[:2]
    losses, grads, real = np.zeros((batch, time)), np.zeros(predictions.shape), np.zeros((batch, time), bool)
    for n in range(batch):
        for t in range(time):
            pads = padding is not None and all(
                y == padding or (padding != padding and y != y) for y in np.atleast_1d(targets[n, t]).ravel()
            )
            if not is_real(n, t, lengths, mask) or pads:
                continue
            real[n, t] = True
            difference = predictions[n, t] - targets[n, t]
            entries = difference**2 if kind == "squared" else np.abs(difference)
            losses[n, t] = np.mean(entries)
            grads[n, t] = (2 * difference if kind == "squared" else np.sign(difference)) / np.size(difference)
    return losses, grads, real


def weights(shape: tuple[int, int], kind: Any, lengths: Any = None, mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each step, and which steps are real."""
    found, real = np.zeros(shape), np.zeros(shape, bool)
    for n in range(shape[0]):
        places = [t for t in range(shape[1]) if is_real(n, t, lengths, mask)]
        for t in places:
            step = t - places[0] + 1
            names = {"sqrt": math.sqrt(step), "linear": step, "exponential": math.exp(t - places[-1])}
            found[n, t], real[n, t] = kind(float(step)) if callable(kind) else names[kind], True
    return found, real


def divisor(reduction: str, real: np.ndarray, denominator: float | None) -> float:
    """What the sum of the losses of real steps is divided by."""
    count = max(int(real.sum()), 1)
    return {"sum": denominator or 1.0, "mean": count, "labels": count, "batch": max(len(real), 1), "none": 1.0}[
        reduction
    ]
