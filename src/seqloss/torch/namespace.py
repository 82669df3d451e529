"""PyTorch's operations for the formulas of `seqloss.formulas`, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch

from seqloss.torch.padding import shut_padding

LAYOUT = {4: (torch.int32, 23, 127), 8: (torch.int64, 52, 1023)}
"""By the bytes of a float: the integer type of this size, the first bit of the exponent, and the exponent's bias."""


class TorchNamespace:
    """PyTorch's `seqloss.formulas.namespace.Namespace` for one device. `scan` is a Python loop.

    Args:
        device: of all arrays.
    """

    exp: Any = staticmethod(torch.exp)
    log: Any = staticmethod(torch.log)
    log1p: Any = staticmethod(torch.log1p)
    sqrt: Any = staticmethod(torch.sqrt)
    abs: Any = staticmethod(torch.abs)
    round: Any = staticmethod(torch.round)
    where: Any = staticmethod(torch.where)

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def size(self, x: torch.Tensor, axis: int) -> int:
        return x.shape[axis]

    def arange(self, count: int) -> torch.Tensor:
        return torch.arange(count, dtype=torch.int32, device=self.device)

    def as_float(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return x.to(like.dtype)

    def as_int(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.int32)

    def maximum(self, x: torch.Tensor, y: Any) -> torch.Tensor:
        return torch.maximum(x, y) if isinstance(y, torch.Tensor) else x.clamp(min=y)

    def minimum(self, x: torch.Tensor, y: Any) -> torch.Tensor:
        return torch.minimum(x, y) if isinstance(y, torch.Tensor) else x.clamp(max=y)

    def max(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.amax(axis, keepdim=True)

    def argmax(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.argmax(axis, keepdim=True).to(torch.int32)

    def sum(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.sum(axis, keepdim=True, dtype=x.dtype)

    def cumsum(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.cumsum(axis, dtype=x.dtype)

    def concat(self, arrays: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
        return torch.cat(tuple(arrays), axis)

    def flip(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.flip(axis)

    def transpose(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        return x.permute(*axes)

    def softplus(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.softplus(x, threshold=40.0)  # from there on, log(1 + exp(x)) rounds to x

    def stop_gradient(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()

    def take(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return x.gather(2, indices.long()[:, None, :].expand(-1, x.shape[1], -1))

    def pick(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return x.gather(2, labels.long()[:, :, None])[:, :, 0]

    def without_padding(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        return shut_padding(x, real)

    def sum_by_class(self, x: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
        result = x.new_zeros((*x.shape[:2], classes))
        return result.scatter_add_(2, labels.long()[:, None, :].expand(-1, x.shape[1], -1), x)

    def log_softmax(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.log_softmax(axis)

    def matmul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not torch.is_autocast_enabled(self.device.type):
            return x @ y
        if self.device.type == "mps":  # has no float64
            with torch.autocast(self.device.type, enabled=False):
                return x @ y
        # it would round to a half type, in a backward pass inside of it too; float64 is left alone
        return (x.double() @ y.double()).to(x.dtype)

    def argsort(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.argsort(dim=axis, stable=True).to(torch.int32)

    def searchsorted(self, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return torch.searchsorted(rows.contiguous(), values.contiguous(), out_int32=True)

    def digits(self, x: torch.Tensor) -> torch.Tensor:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        return ((x.view(kind) >> start) - bias).to(torch.int32)

    def scale(self, x: torch.Tensor, digits: torch.Tensor) -> torch.Tensor:
        kind, start, bias = LAYOUT[x.dtype.itemsize]
        power = ((digits.clamp(min=-126).to(kind) + bias) << start).view(x.dtype)
        return x * power.masked_fill(digits < -126, 0.0)

    def shift_right(self, x: torch.Tensor, count: int) -> torch.Tensor:
        return x >> count

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        collected = []
        for t in range(_first(xs).shape[0]):
            carry, y = step(carry, _map(itemgetter(t), xs))
            collected.append(y)
        return carry, _stack(collected)


def _first(tree: Any) -> torch.Tensor:
    return tree if isinstance(tree, torch.Tensor) else _first(tree[0])


def _map(function: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        return function(tree)
    return _rebuild(tree, [_map(function, part) for part in tree])


def _stack(trees: list[Any]) -> Any:
    if isinstance(trees[0], torch.Tensor):
        return torch.stack(trees)
    return _rebuild(trees[0], [_stack(list(parts)) for parts in zip(*trees, strict=True)])


def _rebuild(tree: Any, parts: list[Any]) -> Any:
    """A tuple, or a named tuple of the same type."""
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
