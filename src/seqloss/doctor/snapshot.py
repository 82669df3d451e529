"""A model, its optimiser and all random states as they were, to the bit, after whatever was tried with them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqloss.doctor.kept_values import keep_attributes, keep_tensor

HELD = {"_parameters", "_buffers", "_modules"}
BUILT_IN = vars(nn.Module()).keys() - {"training"}
"""What a module keeps apart from its plain attributes: weights, buffers, layers and hooks."""


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
        self.kept = [keep_tensor(tensor) for tensor in tensors]

    def restore(self) -> None:
        for restore in self.kept:
            restore()


class _Modules:
    """Modes, flags and plain attributes of all modules."""

    def __init__(self, model: nn.Module) -> None:
        self.flags = [(weight, weight.requires_grad) for weight in model.parameters()]
        seen = {id(one): one for one in (*model.modules(), *model.parameters(), *model.buffers())}
        modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
        self.attributes = [keep_attributes(vars(module), vars(module).keys() - BUILT_IN, seen) for module in modules]
        self.modes = [(module, module.training) for module in model.modules()]
        dicts: list[dict[str, Any]] = [held for module in modules for held in (module._parameters, module._buffers)]
        self.held = [(held, dict(held)) for held in dicts]

    def restore(self) -> None:
        for restore in self.attributes:
            restore()
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
        self.held = [(held, set(held)) for module in modules for held in map(vars(module).__getitem__, HELD)]

    def restore(self) -> None:
        for held, names in self.held:
            for name in held.keys() - names:
                del held[name]


class _Optimizer:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.attributes = optimizer, dict(vars(optimizer))
        seen = {id(weight): weight for group in optimizer.param_groups for weight in group["params"]}
        self.state = {key: (held, keep_attributes(held, held.keys(), seen)) for key, held in optimizer.state.items()}
        self.groups = [keep_attributes(group, group.keys() - {"params"}, seen) for group in optimizer.param_groups]

    def restore(self) -> None:
        for name in vars(self.optimizer).keys() - self.attributes.keys():  # that it was stepped, for its schedule
            delattr(self.optimizer, name)
        vars(self.optimizer).update(self.attributes)
        self.optimizer.state.clear()
        for key, (held, restore) in self.state.items():
            self.optimizer.state[key] = held
            restore()
        for restore in self.groups:
            restore()
