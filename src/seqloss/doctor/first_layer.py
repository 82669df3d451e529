"""What the first layer with weights is given: the inputs after all that the model itself does to scale them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    seen: list[Any] = []

    def keep(inputs: tuple[Any, ...]) -> None:
        if not seen:
            given = getattr(inputs[0], "data", None) if inputs else None  # of packed rows, too
            seen.append(given.detach().clone() if isinstance(given, Tensor) else None)

    with _hooked_first_layer(subject.model, keep):
        subject.call(batch, train=train, dropout=False)
    found = seen[0] if seen else None
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


@contextmanager
def changed_first_layer(model: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change what the first layer with a matrix of weights gets, in the block.

    Args:
        model: with that layer.
        change: of the first input of each of its calls; the data alone if rows are packed.
    """

    def call(inputs: tuple[Any, ...]) -> Any:
        given = inputs[0] if inputs else None
        if isinstance(given, PackedSequence):
            return (given._replace(data=change(given.data)), *inputs[1:])
        return (change(given), *inputs[1:]) if isinstance(given, Tensor) else None

    with _hooked_first_layer(model, call):
        yield


@contextmanager
def _hooked_first_layer(model: nn.Module, hook: Callable[[tuple[Any, ...]], Any]) -> Iterator[None]:
    """Call a function with the inputs of the layer with a matrix of weights that is called first.

    What it returns, if that is not None, takes their place.
    """
    first: list[nn.Module] = []

    def call(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        if not first:
            first.append(module)
        return hook(inputs) if module is first[0] else None

    with ExitStack() as hooks:
        for module in layers_with_matrix(model):
            hooks.enter_context(module.register_forward_pre_hook(call))
        yield


def layers_with_matrix(model: nn.Module) -> list[nn.Module]:
    """The modules that have a weight of two axes or more of their own."""
    return [module for module in model.modules()
            if any(weight.dim() > 1 for weight in module._parameters.values() if weight is not None)]  # fmt: skip
