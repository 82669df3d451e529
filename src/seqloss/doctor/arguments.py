"""Checks of the model and the optimiser that a function of the doctor is given."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from seqloss.errors import wrong_dtype


def check_module(model: Any, call: str, expected: str = "a torch.nn.Module") -> None:
    """Raise a `DTypeError` for a model that is no module.

    Args:
        call: the function with its arguments in their order, for the advice.
        expected: what it may be.
    """
    if isinstance(model, nn.Module):
        return
    kind = model if isinstance(model, type) else type(model)
    if isinstance(model, type) and issubclass(model, nn.Module):
        advice = f"this is the class: give an instance, {model.__name__}(...)"
    elif issubclass(kind, Optimizer):
        advice = f"the model stands before the optimiser: {call}"
    else:
        advice = f"give the network itself: {call}"
    raise wrong_dtype("model", _name(model), expected, advice)


def check_optimizer(optimizer: Any, call: str) -> None:
    """Raise a `DTypeError` for anything but an optimiser."""
    if isinstance(optimizer, Optimizer):
        return
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        advice = f"this is the class: make it from the weights, {optimizer.__name__}(model.parameters(), ...)"
    else:
        advice = f"give the optimiser that trains the model: {call}"
    raise wrong_dtype("optimizer", _name(optimizer), "a torch.optim.Optimizer", advice)


def _name(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
