"""What a model computes on the way: the outputs of its layers, and the gradients of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from seqloss.errors import wrong_dtype


class LayerOutputs:
    """What `layers` has recorded; call it to get it."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._outputs: dict[str, torch.Tensor] = {}
        self._gradients: dict[str, torch.Tensor] = {}
        self._calls: dict[str, int] = {}
        self._finished = 0
        self._finished_before: dict[str, int] = {}

    def __call__(self, **more: Any) -> dict[str, Any]:
        """Name -> tensor: outputs in order of execution, what you give, gradients.

        Args:
            more: by name, what is to stand after the outputs: the loss, or what a function computed.
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
            if "parametrizations" not in name.split("."):  # they make a layer's weight; they are no layers
                yield from self._add_module_hooks(name or "output", module)
        for name, parameter in self._model.named_parameters():
            if parameter.requires_grad:
                yield parameter.register_hook(lambda gradient, name=name: self._record_gradient(name, gradient))

    def _add_module_hooks(self, name: str, module: torch.nn.Module) -> Iterator[torch.utils.hooks.RemovableHandle]:
        def begun(module: torch.nn.Module, inputs: Any) -> None:
            self._finished_before[name] = self._finished

        def finished(module: torch.nn.Module, inputs: Any, output: Any) -> None:
            if self._finished == self._finished_before.get(name):  # it called no other module
                self._record_output(name, output)
            self._finished += 1

        yield module.register_forward_pre_hook(begun)
        yield module.register_forward_hook(finished)

    def _record_output(self, name: str, output: Any) -> None:
        calls = self._calls[name] = self._calls.get(name, 0) + 1
        for key, tensor in _named_tensors(name if calls == 1 else f"{name}#{calls}", output):
            self._outputs[key] = tensor.detach().clone()  # the next layer may work in place

    def _record_gradient(self, name: str, gradient: torch.Tensor) -> None:
        before = self._gradients.get(name, 0)
        self._gradients[name] = gradient.detach().clone() + before


@contextmanager
def layers(model: torch.nn.Module) -> Iterator[LayerOutputs]:
    """Record what a model computes, layer by layer, to hold it against another: `seqloss.doctor.comparison.compare`.

    A layer is a module that calls no other one, such as Linear or LSTM. What `forward` computes with functions between
    the layers is not recorded; give it when you ask. What torch.compile has made need not call the layers, and what is
    checkpointed calls them once more in `backward`: record without either.

    Args:
        model: recorded from the beginning of the `with` to its end; nothing is changed in it.

    Returns:
        for `with layers(model) as seen`, a `LayerOutputs`: `seen()`, in the `with` or after it, is a mapping of name to tensor:

        * the outputs in order of execution, under the modules' names; "output" if the model itself is the one layer. A
          second call is "name#2". Of a tuple, such as LSTM's, the first tensor is "name", then come "name.1",
          "name.2"; of a mapping, "name.key".
        * what you give, `seen(loss=loss)`.
        * "gradient.<parameter>": what `backward` brought within the `with`, whatever `.grad` held before. A parameter
          that it did not reach has 0. Without any `backward` there are none.

    Raises:
        DTypeError: the model is no torch.nn.Module.

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
    if not isinstance(model, torch.nn.Module):
        raise wrong_dtype("model", type(model).__name__, "a torch.nn.Module")
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
