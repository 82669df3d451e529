"""A model, its optimiser and all random states as they were, to the bit, after whatever was tried with them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BUILT_IN = {"_parameters", "_buffers", "_modules"}
"""What a module keeps apart from its plain attributes."""


@contextmanager
def unchanged(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[None]:
    """Put model, optimiser and random states back at the end.

    Weights, buffers and the optimiser's state are copied back into the tensors that they are in. Gradients, modes,
    attributes of modules (such as the state of a recurrent network) and options of the optimiser are set again.
    """
    tensors = [*model.parameters(), *model.buffers()]
    states: list[_Tensors | _Modules | _Optimizer | _Names] = [_Names(model), _Tensors(tensors), _Modules(model)]
    if optimizer is not None:
        states.append(_Optimizer(optimizer))
    with random_states():
        try:
            yield
        finally:
            for state in states:
                state.restore()


@contextmanager
def unchanged_by_calls(model: nn.Module) -> Iterator[None]:
    """Put back what calls of the model can change, and the random states; weights are not copied."""
    state = ModuleState(model)
    with random_states():
        try:
            yield
        finally:
            state.restore()


@contextmanager
def random_states(seed: int | None = None) -> Iterator[None]:
    """Put the random states of Python, NumPy and torch back at the end; begin with those of a seed."""
    before = RandomState()
    if seed is not None:
        seed_all(seed)
    try:
        yield
    finally:
        before.restore()


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed devices that are not in use
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class RandomState:
    """The random states of Python, NumPy and torch, on all devices in use, as they are now."""

    def __init__(self) -> None:
        self.python, self.numpy, self.torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


class ModuleState:
    """What a forward pass can change in a model: buffers, modes and plain attributes of all modules, no weights."""

    def __init__(self, model: nn.Module) -> None:
        self.states: list[_Tensors | _Modules] = [_Tensors(list(model.buffers())), _Modules(model)]

    def restore(self) -> None:
        for state in self.states:
            state.restore()


class _Tensors:
    def __init__(self, tensors: list[Tensor]) -> None:
        self.kept = [(tensor, tensor.detach().clone(), tensor.grad, _clone(tensor.grad)) for tensor in tensors]

    def restore(self) -> None:
        for tensor, value, gradient, gradient_value in self.kept:
            if not _same_bits(tensor, value):
                tensor.detach().copy_(value)
            tensor.grad = gradient
            if gradient is not None and gradient_value is not None:
                gradient.detach().copy_(gradient_value)


class _Modules:
    """Modes, flags and plain attributes of all modules."""

    def __init__(self, model: nn.Module) -> None:
        self.flags = [(weight, weight.requires_grad) for weight in model.parameters()]
        self.kept = [
            (module, {name: (value, _copy(value)) for name, value in vars(module).items() if name not in BUILT_IN})
            for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)
        ]  # fmt: skip
        self.modes = [(module, module.training) for module in model.modules()]
        dicts: list[dict[str, Any]] = [
            held for module, _ in self.kept for held in (module._parameters, module._buffers)
        ]
        self.held = [(held, dict(held)) for held in dicts]

    def restore(self) -> None:
        for module, attributes in self.kept:
            for name in vars(module).keys() - attributes.keys() - BUILT_IN:
                delattr(module, name)
            for name, (value, kept) in attributes.items():
                vars(module)[name] = _put_back(value, kept)
        for held, before in self.held:
            held.update(before)
        for module, mode in self.modes:
            module.training = mode
        for weight, flag in self.flags:
            weight.requires_grad_(flag)


class _Names:
    """Weights, buffers and layers that are registered; others can be made by the first call of a model."""

    def __init__(self, model: nn.Module) -> None:
        modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
        self.held = [(held, set(held)) for module in modules for held in map(vars(module).__getitem__, BUILT_IN)]

    def restore(self) -> None:
        for held, names in self.held:
            for name in held.keys() - names:
                del held[name]


class _Optimizer:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.attributes = optimizer, dict(vars(optimizer))
        self.state = {key: {name: (value, _copy(value)) for name, value in held.items()}
                      for key, held in optimizer.state.items()}  # fmt: skip
        self.groups = [
            {name: (value, _copy(value)) for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]

    def restore(self) -> None:
        for name in vars(self.optimizer).keys() - self.attributes.keys():  # that it was stepped, for its schedule
            delattr(self.optimizer, name)
        vars(self.optimizer).update(self.attributes)
        self.optimizer.state.clear()
        for key, held in self.state.items():
            self.optimizer.state[key] = {name: _put_back(value, kept) for name, (value, kept) in held.items()}
        for group, options in zip(self.optimizer.param_groups, self.groups, strict=False):
            group.update({name: _put_back(value, kept) for name, (value, kept) in options.items()})


def _clone(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def _copy(value: Any) -> Any:
    """A copy of tensors and of plain containers of them, the state of generators; other objects themselves."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(map(_copy, value))
    if type(value) is dict:
        return {key: _copy(one) for key, one in value.items()}
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return copy.deepcopy(value.bit_generator.state)
    return copy.copy(value) if isinstance(value, set) else value


def _put_back(value: Any, kept: Any) -> Any:
    """The object that was there, with the content that it had."""
    if isinstance(value, Tensor):
        if not _same_bits(value, kept):
            value.detach().copy_(kept)
    elif type(value) is list and len(value) == len(kept):
        value[:] = [_put_back(one, other) for one, other in zip(value, kept, strict=True)]
    elif type(value) is tuple and len(value) == len(kept):
        for one, other in zip(value, kept, strict=True):
            _put_back(one, other)
    elif isinstance(value, torch.Generator):
        value.set_state(kept)
    elif isinstance(value, random.Random):
        value.setstate(kept)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = kept
    elif type(value) in (list, dict, set):
        value.clear()
        value.extend(kept) if type(value) is list else value.update(kept)
    return value


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Writing nothing keeps the version counter, which graphs that the caller holds need."""
    if one.layout is not torch.strided or one.is_meta:
        return False
    return bool(torch.equal(one.detach().contiguous().view(-1).view(torch.uint8),
                            other.contiguous().view(-1).view(torch.uint8)))  # fmt: skip
