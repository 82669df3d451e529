"""Variables beside model and batch that a loss can change: of its closure, and of the object it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

MOST_ENTRIES = 64
"""Of a list or dict that is copied; a longer one is taken for data."""

MOST_NUMBERS = 10**6
"""Of a tensor."""


class Outside:
    """The values as they are now, such as the hidden state that a loss hands on from batch to batch."""

    def __init__(self, loss: Any) -> None:
        self.cells = [(cell, _Value(cell.cell_contents)) for cell in _cells(loss)]
        self.objects = [
            (one, {name: _Value(value) for name, value in vars(one).items()}) for one in _objects(loss)
        ]  # fmt: skip

    def restore(self) -> None:
        for cell, kept in self.cells:
            cell.cell_contents = kept.restored()
        for one, attributes in self.objects:
            for name in vars(one).keys() - attributes.keys():
                del vars(one)[name]
            vars(one).update({name: kept.restored() for name, kept in attributes.items()})


class _Value:
    """An object, and its content if it is a small tensor or container."""

    def __init__(self, value: Any, depth: int = 0) -> None:
        self.value = value
        self.content: Any = None
        if isinstance(value, Tensor) and value.layout is torch.strided and value.numel() <= MOST_NUMBERS:
            self.content = value.detach().clone()
        elif type(value) in (list, dict) and len(value) <= MOST_ENTRIES and depth < 3:
            pairs = value.items() if type(value) is dict else enumerate(value)
            self.content = {key: _Value(one, depth + 1) for key, one in pairs}

    def restored(self) -> Any:
        if isinstance(self.value, Tensor) and self.content is not None:
            if not torch.equal(self.value.detach(), self.content):
                self.value.detach().copy_(self.content)
        elif type(self.value) is dict and self.content is not None:
            found = {key: one.restored() for key, one in self.content.items()}
            self.value.clear()
            self.value.update(found)
        elif type(self.value) is list and self.content is not None:
            self.value[:] = [one.restored() for one in self.content.values()]
        return self.value


def _cells(loss: Any, depth: int = 0) -> Iterator[Any]:
    """Of a function and of the functions that it uses; unset ones are left out."""
    for function in _functions(loss):
        for cell in getattr(function, "__closure__", None) or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            yield cell
            if depth < 2 and callable(value) and not isinstance(value, nn.Module | type):
                yield from _cells(value, depth + 1)


def _functions(loss: Any) -> Iterator[Any]:
    while isinstance(loss, partial):
        loss = loss.func
    yield getattr(loss, "__func__", loss)


def _objects(loss: Any) -> Iterator[Any]:
    """Of a bound method, or an object that is called; modules are kept elsewhere."""
    while isinstance(loss, partial):
        loss = loss.func
    one = getattr(loss, "__self__", None if hasattr(loss, "__code__") else loss)
    if hasattr(one, "__dict__") and not isinstance(one, nn.Module | type) and type(one).__module__ != "builtins":
        yield one
