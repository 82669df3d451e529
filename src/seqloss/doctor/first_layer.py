"""What the first layer with weights is given: the inputs after all that the model itself does to scale them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqloss.doctor.subject import Subject


def first_layer_input(subject: Subject, batch: Any, *, train: bool = False) -> Tensor | None:
    """The first tensor of floats that a layer with a matrix of weights gets; None if it looks up embeddings first.

    Args:
        subject: with the model.
        batch: for the loss.
        train: the model's mode; dropout is off.
    """
    with _first(subject.model) as seen:
        subject.call(batch, train=train, dropout=False)
    found = seen[0] if seen else None
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


@contextmanager
def _first(model: nn.Module) -> Iterator[list[Any]]:
    seen: list[Any] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not seen:
            given = getattr(inputs[0], "data", None) if inputs else None  # of packed rows, too
            seen.append(given.detach().clone() if isinstance(given, Tensor) else None)

    handles = [module.register_forward_pre_hook(keep) for module in _layers(model)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def scaled_first_layer(model: nn.Module, factor: float) -> Iterator[None]:
    """Multiply what the first layer with a matrix of weights gets."""
    first: list[nn.Module] = []

    def scale(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        if not first:
            first.append(module)
        if module is not first[0] or not inputs:
            return None
        given = inputs[0]
        if isinstance(given, PackedSequence):
            return (given._replace(data=given.data * factor), *inputs[1:])
        return (given * factor, *inputs[1:]) if isinstance(given, Tensor) else None

    handles = [module.register_forward_pre_hook(scale) for module in _layers(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules()
            if any(weight.dim() > 1 for weight in module._parameters.values() if weight is not None)]  # fmt: skip
