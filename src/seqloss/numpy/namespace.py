"""NumPy's operations for the formulas of `seqloss.formulas`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seqloss.formulas.namespace import Namespace

LAYOUT: dict[int, tuple[Any, int, int]] = {4: (np.int32, 23, 127), 8: (np.int64, 52, 1023)}
"""By the bytes of a float: the integer type of this size, the first bit of the exponent, and the exponent's bias."""


class NumPyNamespace:
    """NumPy's `seqloss.formulas.namespace.Namespace`."""

    def size(self, x: np.ndarray, axis: int) -> int:
        return x.shape[axis]

    def arange(self, count: int) -> np.ndarray:
        return np.arange(count, dtype=np.int32)

    def as_float(self, x: np.ndarray, like: np.ndarray) -> np.ndarray:
        return x.astype(like.dtype)

    def as_int(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.int32)

    def max(self, x: np.ndarray, axis: int) -> np.ndarray:
        return x.max(axis, keepdims=True)

    def argmax(self, x: np.ndarray, axis: int) -> np.ndarray:
        return x.argmax(axis, keepdims=True).astype(np.int32)

    def sum(self, x: np.ndarray, axis: int) -> np.ndarray:
        return x.sum(axis, keepdims=True, dtype=x.dtype)

    def cumsum(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.cumsum(x, axis, dtype=x.dtype)

    def concat(self, arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
        return np.concatenate(arrays, axis)

    def take(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        return np.take_along_axis(x, np.broadcast_to(indices[:, None, :], (*x.shape[:2], indices.shape[1])), 2)

    def sum_by_class(self, x: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
        return np.einsum("ntl,nlc->ntc", x, (labels[:, :, None] == np.arange(classes)).astype(x.dtype))

    def softplus(self, x: np.ndarray) -> np.ndarray:
        return np.logaddexp(x, x.dtype.type(0))

    def pick(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.take_along_axis(x, labels[:, :, None], 2)[:, :, 0]

    def without_padding(self, x: np.ndarray, real: np.ndarray) -> np.ndarray:
        return np.where(real[:, :, None], x, x.dtype.type(0))

    def log_softmax(self, x: np.ndarray, axis: int) -> np.ndarray:
        below = x - x.max(axis, keepdims=True)
        return below - np.log(np.exp(below).sum(axis, keepdims=True))

    def stop_gradient(self, x: np.ndarray) -> np.ndarray:
        return x

    def argsort(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.argsort(x, axis, kind="stable").astype(np.int32)

    def searchsorted(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        found = [np.searchsorted(row, value) for row, value in zip(rows, values, strict=True)]
        return np.reshape(found, values.shape).astype(np.int32)

    def digits(self, x: np.ndarray) -> np.ndarray:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        return ((x.view(kind) >> start) - bias).astype(np.int32)

    def scale(self, x: np.ndarray, digits: np.ndarray) -> np.ndarray:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        power = ((np.maximum(digits, -127).astype(kind) + bias) << start).view(x.dtype)
        return x * np.where(digits < -126, x.dtype.type(0), power)

    def shift_right(self, x: np.ndarray, count: int) -> np.ndarray:
        return x >> count

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        collected = []
        for t in range(_leaves(xs)[0].shape[0]):
            carry, y = step(carry, _map(operator.itemgetter(t), xs))
            collected.append(y)
        return carry, _stack(collected)

    def __getattr__(self, name: str) -> Any:
        return {"round": np.rint}.get(name) or getattr(np, name)


def _map(f: Callable[[np.ndarray], Any], tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        return f(tree)
    parts = [_map(f, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def _leaves(tree: Any) -> list[np.ndarray]:
    return [tree] if isinstance(tree, np.ndarray) else [leaf for part in tree for leaf in _leaves(part)]


def _stack(trees: list[Any]) -> Any:
    if isinstance(trees[0], np.ndarray):
        return np.stack(trees)
    parts = [_stack([tree[k] for tree in trees]) for k in range(len(trees[0]))]
    return type(trees[0])(*parts) if hasattr(trees[0], "_fields") else tuple(parts)


XP: Namespace = NumPyNamespace()
