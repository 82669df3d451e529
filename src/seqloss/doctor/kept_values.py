"""What plain attributes of a model hold: tensors, arrays, containers and objects with attributes of their own."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor

Restore = Callable[[], None]
"""Gives an object the content that it had."""

PLAIN = (
    int, float, complex, str, bytes, bool, type(None), type, FunctionType, BuiltinFunctionType, MethodType, ModuleType,
    ReferenceType, torch.dtype, torch.device,
)  # fmt: skip
"""Types that nothing changes in place, or that belong to no model."""
MOST = 10_000
"""Entries of a container that are looked into; a longer one is data, not state, and only its entries are kept."""


class _Resource(Exception):
    """An object such as a lock, a thread or an open file, whose content cannot be put back."""


def keep(value: Any, seen: dict[int, Any]) -> Restore | None:
    """Keep the content of a value; None if nothing in it can change.

    A value that holds a lock, a thread or an open file, such as a writer of logs, stays as it is.

    Args:
        value: of an attribute.
        seen: what is kept already, by its id; it is added to.
    """
    if isinstance(value, PLAIN):
        return None
    before = set(seen)
    try:
        return _keep(value, seen)
    except (_Resource, RecursionError):
        for key in seen.keys() - before:
            del seen[key]
        return None


def _keep(value: Any, seen: dict[int, Any]) -> Restore | None:
    if isinstance(value, PLAIN) or id(value) in seen:
        return None
    seen[id(value)] = value
    if isinstance(value, Tensor):
        return keep_tensor(value)
    if isinstance(value, np.ndarray):
        return _keep_array(value)
    if isinstance(value, tuple):
        parts = _keep_all(value, seen)
        return (lambda: _restore_all(parts)) if parts else None
    if isinstance(value, list | deque):
        return _keep_list(value, seen)
    if isinstance(value, dict):
        return _keep_dict(value, seen)
    if isinstance(value, set):
        return _keep_set(value)
    return _keep_generator(value) or _keep_object(value, seen)


def _keep_all(values: Collection[Any], seen: dict[int, Any]) -> list[Restore]:
    if len(values) > MOST:
        return []
    return [kept for one in values if (kept := _keep(one, seen)) is not None]


def _restore_all(parts: Iterable[Restore]) -> None:
    for restore in parts:
        restore()


def keep_tensor(value: Tensor) -> Restore:
    """Keep the numbers of a tensor and its gradient; they are written back into the tensors that they are in."""
    kept, gradient = value.detach().clone(), value.grad if value.is_leaf else None
    kept_gradient = None if gradient is None else gradient.detach().clone()

    def restore() -> None:
        if not _same_bits(value, kept):
            value.detach().copy_(kept)
        if value.is_leaf:
            value.grad = gradient
        if gradient is not None and kept_gradient is not None:
            gradient.detach().copy_(kept_gradient)

    return restore


def _keep_array(value: np.ndarray) -> Restore:
    kept = value.copy()

    def restore() -> None:
        if value.flags.writeable and value.shape == kept.shape:
            value[...] = kept

    return restore


def _keep_list(value: list[Any] | deque[Any], seen: dict[int, Any]) -> Restore:
    entries, parts = list(value), _keep_all(value, seen)

    def restore() -> None:
        _restore_all(parts)
        if len(entries) != len(value) or any(one is not other for one, other in zip(entries, value, strict=True)):
            value.clear()
            value.extend(entries)

    return restore


def _keep_dict(value: dict[Any, Any], seen: dict[int, Any]) -> Restore:
    entries, parts = dict(value), _keep_all(value.values(), seen)

    def restore() -> None:
        _restore_all(parts)
        if list(value) != list(entries) or any(value[key] is not one for key, one in entries.items()):
            value.clear()
            for key, one in entries.items():
                value[key] = one

    return restore


def _keep_set(value: set[Any]) -> Restore:
    kept = set(value)

    def restore() -> None:
        if value != kept:
            value.clear()
            value.update(kept)

    return restore


def _keep_generator(value: Any) -> Restore | None:
    """Of a generator of random numbers, its state; None for other objects."""
    if isinstance(value, torch.Generator):
        return partial(_set_state, value, value.get_state())
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        return partial(setattr, value.bit_generator, "state", copy.deepcopy(value.bit_generator.state))
    return None


def _set_state(generator: torch.Generator, state: Tensor) -> None:
    generator.set_state(state)


def _keep_object(value: Any, seen: dict[int, Any]) -> Restore | None:
    """Of an object, its attributes; of a layer that is not registered, its weights and buffers too."""
    held = getattr(value, "__dict__", None)
    if not isinstance(held, dict) or isinstance(value, torch.jit.ScriptModule):
        _raise_if_resource(value)
        return None
    return _keep_names(held, held.keys(), _keep_all(held.values(), seen))


def keep_attributes(held: dict[str, Any], names: Collection[str], seen: dict[int, Any]) -> Restore:
    """Keep some attributes, and that there are no others; each is kept even if another one cannot be.

    Args:
        held: all attributes.
        names: those that are kept.
        seen: what is kept already, by its id; it is added to.
    """
    parts = [kept for name in names if (kept := keep(held[name], seen)) is not None]
    return _keep_names(held, names, parts)


def _keep_names(held: dict[str, Any], names: Collection[str], parts: list[Restore]) -> Restore:
    """Keep which objects have these names."""
    entries = {name: held[name] for name in names}
    others = held.keys() - entries.keys()

    def restore() -> None:
        for name in held.keys() - entries.keys() - others:
            del held[name]
        held.update(entries)
        _restore_all(parts)

    return restore


def _raise_if_resource(value: Any) -> None:
    """A lock, a thread, a file, a socket and a running generator cannot be copied."""
    try:
        value.__reduce_ex__(4)
    except TypeError as problem:
        raise _Resource from problem
    except Exception:  # an object's own refusal says nothing of the kind
        return


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Writing nothing keeps the version counter, which graphs that the caller holds need."""
    if one.layout is not torch.strided or one.is_meta:
        return False
    return bool(torch.equal(one.detach().contiguous().view(-1).view(torch.uint8),
                            other.contiguous().view(-1).view(torch.uint8)))  # fmt: skip
