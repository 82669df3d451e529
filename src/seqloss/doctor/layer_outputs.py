"""Record the outputs of a model's layers and the gradients of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from seqloss.doctor.arguments import check_module


class LayerOutputs:
    """The record that `layers` makes; call it to get the tensors."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._outputs: dict[str, torch.Tensor] = {}
        self._gradients: dict[str, torch.Tensor] = {}
        self._calls: dict[str, int] = {}
        self._finished = 0
        self._finished_before: dict[str, int] = {}

    def __call__(self, **more: Any) -> dict[str, Any]:
        """Return a mapping of name to tensor: outputs in order of execution, then `more`, then gradients.

        Args:
            more: further tensors by name, for example the loss, or what a function between layers computed.
        """
        return {**self._outputs, **more, **self._all_gradients()}

    def _all_gradients(self) -> dict[str, torch.Tensor]:
        if not self._gradients:
            return {}
        return {
            f"gradient.{name}": self._gradients[name] if name in self._gradients else torch.zeros_like(parameter.data)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }

    def _add_hooks(self) -> Iterator[torch.utils.hooks.RemovableHandle]:
        for name, module in self._model.named_modules():
            if "parametrizations" not in name.split("."):  # these compute a weight and are not layers
                yield from self._add_module_hooks(name or "output", module)
        for name, parameter in self._model.named_parameters():
            if parameter.requires_grad:
                yield parameter.register_hook(lambda gradient, name=name: self._record_gradient(name, gradient))

    def _add_module_hooks(self, name: str, module: torch.nn.Module) -> Iterator[torch.utils.hooks.RemovableHandle]:
        def before_forward(module: torch.nn.Module, inputs: Any) -> None:
            self._finished_before[name] = self._finished

        def after_forward(module: torch.nn.Module, inputs: Any, output: Any) -> None:
            if self._finished == self._finished_before.get(name):  # it has called no other module
                self._record_output(name, output)
            self._finished += 1

        yield module.register_forward_pre_hook(before_forward)
        yield module.register_forward_hook(after_forward)

    def _record_output(self, name: str, output: Any) -> None:
        calls = self._calls[name] = self._calls.get(name, 0) + 1
        for key, tensor in _named_tensors(name if calls == 1 else f"{name}#{calls}", output):
            self._outputs[key] = tensor.detach().clone()  # the next layer may work in place

    def _record_gradient(self, name: str, gradient: torch.Tensor) -> None:
        before = self._gradients.get(name, 0)
        self._gradients[name] = gradient.detach().clone() + before


@contextmanager
def layers(model: torch.nn.Module) -> Iterator[LayerOutputs]:
    """Record the outputs and gradients of a model, layer by layer, for `seqloss.doctor.compare`.

    A layer is a module that calls no other module, such as Linear or LSTM. What `forward` computes with functions
    between layers is not recorded; pass it when you read the record. Do not record compiled or checkpointed models:
    torch.compile may not call the layers, and checkpointing calls them again in `backward`.

    Args:
        model: a module. It is recorded inside the `with` block, and is not changed.

    Returns:
        A context manager. In `with layers(model) as seen`, the call `seen()`, in the block or after it, returns a
        mapping of name to tensor with

        * the outputs in order of execution, under the names of the modules; "output" if the model itself is the only
          layer. The second call of a layer is "name#2". Of a tuple, such as the result of LSTM, the first tensor is
          "name", the next are "name.1", "name.2"; of a mapping, "name.key".
        * what you pass, for example `seen(loss=loss)`.
        * `"gradient.<parameter>"`: the gradient that `backward` added inside the block; 0 for a parameter that it did
          not reach. Without a `backward` there are no gradients.

    Raises:
        DTypeError: the model is not a torch.nn.Module.

    Example:
        >>> import torch
        >>> from seqloss.doctor import layers
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
        >>> with layers(model) as seen:
        ...     loss = model(torch.ones(1, 3)).sum()
        ...     loss.backward()
        >>> list(seen(loss=loss))
        ['0', '1', 'loss', 'gradient.0.weight', 'gradient.0.bias']
    """
    check_module(model, "layers(model)")
    seen = LayerOutputs(model)
    handles = list(seen._add_hooks())
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _named_tensors(name: str, output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(output, Mapping):
        for key, value in output.items():
            yield from _named_tensors(f"{name}.{key}", value)
    else:
        for number, tensor in enumerate(_tensors(output)):
            yield (f"{name}.{number}" if number else name), tensor


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)
