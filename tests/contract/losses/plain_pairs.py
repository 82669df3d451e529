"""The losses of pairs and triplets as plain loops over numbers, in long doubles; gradients by central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Number = np.longdouble
STEP = Number(1e-6)


def gradients(objective: Callable[..., Any], given: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of a function of arrays with respect to every entry; an entry of -inf has none."""
    found = []
    for place, array in enumerate(given):
        slopes = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            moved = [np.array(x, Number) for x in given]
            values = []
            for step in (STEP, -STEP):
                moved[place][at] = Number(array[at]) + step
                values.append(objective(*moved))
            slopes[at] = float((values[0] - values[1]) / (2 * STEP)) if np.isfinite(array[at]) else 0.0
        found.append(slopes)
    return found


def softmax(row: np.ndarray) -> list[Any]:
    largest = max(row)
    powers = [np.exp(score - largest) for score in row]
    return [power / sum(powers) for power in powers]


def kl(p: Sequence[Any], q: Sequence[Any]) -> Any:
    total = Number(0)
    for here, there in zip(p, q, strict=True):
        if here > 0 and there == 0:
            return Number(np.inf)
        if here > 0 and there > 0:
            total += here * (np.log(here) - np.log(there))
    return total


def pair_losses(
    x: np.ndarray, labels: Any, margin: float = 1.0, from_logits: bool = True, mean: bool = False, soft: bool = False
) -> np.ndarray:
    rows = [softmax(row) if from_logits else list(row) for row in np.array(x, Number)]
    losses = np.zeros((len(rows), len(rows)), Number)
    for i, p in enumerate(rows):
        for j, q in enumerate(rows):
            divergence = kl(p, q) / (len(p) if mean else 1)
            if i == j:
                continue
            if labels[i] == labels[j]:
                losses[i, j] = divergence
            elif soft:
                losses[i, j] = np.log1p(np.exp(margin - divergence))
            else:
                losses[i, j] = max(Number(0), margin - divergence)
    return losses


def cosine(u: np.ndarray, v: np.ndarray) -> Any:
    product = sum(a * b for a, b in zip(u, v, strict=True))
    lengths = np.sqrt(sum(a * a for a in u)) * np.sqrt(sum(b * b for b in v))
    return product / lengths if lengths > 0 else Number(0)


def triplet_losses(anchor: np.ndarray, positive: np.ndarray, negative: np.ndarray, margin: float = 0.3) -> np.ndarray:
    rows = zip(anchor, positive, negative, strict=True)
    return np.array([max(Number(0), cosine(a, n) - cosine(a, p) + margin) for a, p, n in rows], Number)


def triplets(x: np.ndarray, labels: Any, negatives: str) -> list[tuple[int, int, int]]:
    """What `pick_triplets` picks, by its docstring."""
    found = []
    for a in range(len(x)):
        others = [k for k in range(len(x)) if labels[k] != labels[a]]
        for p in range(len(x)):
            if p == a or labels[p] != labels[a] or not others:
                continue
            near = {k: cosine(x[a], x[k]) for k in others}
            further = [k for k in others if near[k] < cosine(x[a], x[p])]
            if negatives == "hardest":
                n = max(others, key=near.__getitem__)
            else:
                n = max(further, key=near.__getitem__) if further else min(others, key=near.__getitem__)
            found.append((a, p, n))
    return found
