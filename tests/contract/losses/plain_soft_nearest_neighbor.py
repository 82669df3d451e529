"""The soft nearest neighbour loss as the paper writes it, by loops over pairs in float64.

The sums of exponentials are relative to the nearest point, and logarithms are taken apart, as an underflow to 0 would
end the comparison. Nothing is shared with the package.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Plain(NamedTuple):
    """Losses, (points,), and the gradients of the sum of weight times loss; `terms` are the sizes of what adds up."""

    losses: np.ndarray
    gradient: np.ndarray
    of_temperature: float
    terms: np.ndarray  # like the gradient
    terms_of_temperature: float


def plain_losses(points: Any, labels: Any, temperature: float, metric: str, weights: Any = None) -> Plain:
    x, y = np.asarray(points, np.float64), list(labels)
    n, size = len(x), np.abs(x - x.mean(0))
    norms = np.maximum(np.sqrt((x * x).sum(1)), 1e-300)
    weights = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    losses, gradient, terms = np.zeros(n), np.zeros_like(x), np.zeros_like(x)
    of_temperature = terms_of_temperature = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        same = [j for j in others if y[j] == y[i]]
        if not same:
            continue
        pairs = {j: distance(x[i], x[j], metric) for j in others}
        scores = {j: -pair[0] / temperature for j, pair in pairs.items()}
        log_all, log_same = log_sum([scores[j] for j in others]), log_sum([scores[j] for j in same])
        different = [scores[j] for j in others if y[j] != y[i]]
        losses[i] = log_all - log_same
        if losses[i] < 1:  # log(1 + other / same): a small loss has all its digits
            losses[i] = math.log1p(math.exp(log_sum(different) - log_same))
        share = math.exp(log_sum(different) - log_all) if different else 0.0
        for j in others:
            picked = math.exp(scores[j] - log_all)
            of_score = -share * math.exp(scores[j] - log_same) if y[j] == y[i] else picked
            of_distance = -weights[i] * of_score / temperature
            for k, slope in ((i, pairs[j][1]), (j, pairs[j][2])):
                gradient[k] += of_distance * slope
                terms[k] += abs(of_distance) * (2 * (size[i] + size[j]) if metric == "euclidean" else 2 / norms[k])
            of_temperature += weights[i] * of_score * -scores[j] / temperature
            terms_of_temperature += abs(weights[i] * of_score * scores[j] / temperature)
    return Plain(losses, gradient, of_temperature, terms, terms_of_temperature)


def distance(a: np.ndarray, b: np.ndarray, metric: str) -> tuple[float, np.ndarray, np.ndarray]:
    """The distance and its derivatives with respect to both points."""
    if metric == "euclidean":
        return float(((a - b) ** 2).sum()), 2 * (a - b), 2 * (b - a)
    if not a.any() or not b.any():  # no direction: the middle of all
        return 0.5 * (a.any() or b.any()), np.zeros_like(a), np.zeros_like(b)
    size_a, size_b = math.sqrt((a * a).sum()), math.sqrt((b * b).sum())
    u, v = a / size_a, b / size_b
    cosine = float((u * v).sum())
    return 1 - cosine, (cosine * u - v) / size_a, (cosine * v - u) / size_b


def log_sum(scores: list[float]) -> float:
    if not scores:
        return -math.inf
    largest = max(scores)
    return largest + math.log(math.fsum(math.exp(score - largest) for score in scores))
