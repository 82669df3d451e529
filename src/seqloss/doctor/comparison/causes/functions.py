"""One array is a function of the other: 0, its negative, an activation, a constant added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqloss.doctor.comparison.pair import Pair

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": np.exp,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
}


def all_zero(pair: Pair) -> str:
    cause = (
        "the graph is detached (detach, stop_gradient)"
        if pair.largest_gradient
        else "an uninitialised weight, a dead activation"
    )
    for a, _, b, side in pair.both_orders():
        if a.any() and not b.any():
            return f"{side} is 0 everywhere: {cause}?"
    return ""


def opposite_sign(pair: Pair) -> str:
    a, b = pair.arrays
    return "equal up to sign: log-likelihood versus loss?" if pair.close(a, -b) else ""


def function_of_the_other(pair: Pair) -> str:
    for a, name, b, side in pair.both_orders():
        for axis in (axis for axis in reversed(range(a.ndim)) if a.shape[axis] > 1):
            for word, over in (("softmax", _softmax), ("log_softmax", _log_softmax)):
                if pair.close(over(a, axis), b):
                    return f"{side} is the {word} of {name} over axis {axis}: is it applied on one side only?"
        for word, apply in ACTIVATIONS.items():
            if pair.close(apply(a), b):
                return f"{side} is the {word} of {name}: is it applied on one side only?"
    return ""


def _log_softmax(a: np.ndarray, axis: int) -> np.ndarray:
    a = a - a.max(axis, keepdims=True)
    return a - np.log(np.exp(a).sum(axis, keepdims=True))


def _softmax(a: np.ndarray, axis: int) -> np.ndarray:
    return np.exp(_log_softmax(a, axis))


def offset(pair: Pair) -> str:
    a, b = pair.arrays
    first, second = pair.names
    if a.size > 2 and pair.close(a + (b - a).mean(), b):
        return f"{second} - {first} is {(b - a).mean():.6g} everywhere: is a constant added on one side only?"
    rows = tuple(range(a.ndim - 1))
    if a.ndim > 1 and a.size > a.shape[-1] and pair.close(a + (b - a).mean(rows), b):
        return f"{second} - {first} is one vector along the last axis: is a bias missing, or added twice?"
    if a.ndim and a.shape[-1] > 2 and pair.close(a + (b - a).mean(-1, keepdims=True), b):
        return "equal up to a constant per row of the last axis: log-probabilities versus logits?"
    return ""
