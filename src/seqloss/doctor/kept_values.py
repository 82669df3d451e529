"""What plain attributes of a model hold: tensors, arrays, containers and objects with attributes of their own."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn

Restore = Callable[[], Any]
"""Gives an object the content that it had, and returns it."""

PLAIN = (
    int, float, complex, str, bytes, bool, type(None), type, FunctionType, BuiltinFunctionType, MethodType, ModuleType,
    ReferenceType, torch.dtype, torch.device,
)  # fmt: skip
"""Types that nothing changes in place, or that belong to no model."""
MOST = 10_000
"""Entries of a container that are looked into; a longer one is data, not state, and only its entries are kept."""


class _Resource(Exception):
    """An object such as a lock, a thread or an open file, whose content cannot be put back."""


def keep(value: Any, seen: dict[int, Any]) -> Restore:
    """Keep the content of a value.

    A value that holds a lock, a thread or an open file, such as a writer of logs, stays as it is.

    Args:
        value: of an attribute.
        seen: what is kept already, by its id; it is added to.
    """
    before = set(seen)
    try:
        return _keep(value, seen)
    except (_Resource, RecursionError):
        for key in seen.keys() - before:
            del seen[key]
        return lambda: value


def _keep(value: Any, seen: dict[int, Any]) -> Restore:
    if isinstance(value, PLAIN) or id(value) in seen:
        return lambda: value
    seen[id(value)] = value
    if isinstance(value, Tensor):
        return _keep_tensor(value)
    if isinstance(value, np.ndarray):
        return _keep_array(value)
    if isinstance(value, list | deque):
        return _keep_list(value, seen)
    if isinstance(value, tuple):
        return _keep_all(value, [_keep(one, seen) for one in value[:MOST]])
    if isinstance(value, dict):
        return _keep_dict(value, seen)
    if isinstance(value, set):
        return _keep_set(value)
    return _keep_generator(value) or _keep_object(value, seen)


def _keep_tensor(value: Tensor) -> Restore:
    kept = value.detach().clone()

    def restore() -> Tensor:
        if not same_bits(value, kept):
            value.detach().copy_(kept)
        return value

    return restore


def _keep_array(value: np.ndarray) -> Restore:
    kept = value.copy()

    def restore() -> np.ndarray:
        if value.flags.writeable and value.shape == kept.shape:
            value[...] = kept
        return value

    return restore


def _keep_list(value: list[Any] | deque[Any], seen: dict[int, Any]) -> Restore:
    kept = [_keep(one, seen) for one in value] if len(value) <= MOST else [_same(one) for one in value]

    def restore() -> list[Any] | deque[Any]:
        entries = [one() for one in kept]
        if len(entries) != len(value) or any(one is not other for one, other in zip(entries, value, strict=True)):
            value.clear()
            value.extend(entries)
        return value

    return restore


def _keep_dict(value: dict[Any, Any], seen: dict[int, Any]) -> Restore:
    kept = {key: _keep(one, seen) if len(value) <= MOST else _same(one) for key, one in value.items()}

    def restore() -> dict[Any, Any]:
        entries = {key: one() for key, one in kept.items()}
        if list(value) != list(entries) or any(value[key] is not one for key, one in entries.items()):
            value.clear()
            for key, one in entries.items():
                value[key] = one
        return value

    return restore


def _keep_set(value: set[Any]) -> Restore:
    kept = set(value)

    def restore() -> set[Any]:
        if value != kept:
            value.clear()
            value.update(kept)
        return value

    return restore


def _keep_generator(value: Any) -> Restore | None:
    """Of a generator of random numbers, its state; None for other objects."""
    if isinstance(value, torch.Generator):
        return _and_return(value, value.set_state, value.get_state())
    if isinstance(value, random.Random):
        return _and_return(value, value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return _and_return(value, value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        state = copy.deepcopy(value.bit_generator.state)
        return _and_return(value, lambda kept: setattr(value.bit_generator, "state", kept), state)
    return None


def _keep_object(value: Any, seen: dict[int, Any]) -> Restore:
    """Of an object, its attributes; of a layer that is not registered, its weights and buffers too."""
    held = getattr(value, "__dict__", None)
    if not isinstance(held, dict) or isinstance(value, torch.jit.ScriptModule):
        _raise_if_resource(value)
        return lambda: value
    kept = {name: _keep(one, seen) for name, one in held.items()}
    if isinstance(value, nn.Module):
        seen.update({id(weight): weight for weight in value.parameters()})

    def restore() -> Any:
        for name in held.keys() - kept.keys():
            del held[name]
        held.update({name: one() for name, one in kept.items()})
        return value

    return restore


def _raise_if_resource(value: Any) -> None:
    """A lock, a thread, a file, a socket and a running generator cannot be copied."""
    try:
        value.__reduce_ex__(4)
    except TypeError as problem:
        raise _Resource from problem
    except Exception:  # an object's own refusal says nothing of the kind
        return


def _keep_all(value: Any, parts: list[Restore]) -> Restore:
    def restore() -> Any:
        for part in parts:
            part()
        return value

    return restore


def _and_return(value: Any, put: Callable[[Any], Any], state: Any) -> Restore:
    def restore() -> Any:
        put(state)
        return value

    return restore


def _same(value: Any) -> Restore:
    return lambda: value


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Writing nothing keeps the version counter, which graphs that the caller holds need."""
    if one.layout is not torch.strided or one.is_meta:
        return False
    return bool(torch.equal(one.detach().contiguous().view(-1).view(torch.uint8),
                            other.contiguous().view(-1).view(torch.uint8)))  # fmt: skip
