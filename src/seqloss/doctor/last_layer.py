"""The layer with weights that is called last, and its weights changed for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from seqloss.doctor.first_layer import layers_with_matrix
from seqloss.doctor.subject import Subject


def last_layer(subject: Subject) -> nn.Module | None:
    """The layer with a matrix of weights that is called last with the first batch."""
    called: list[nn.Module] = []
    with ExitStack() as hooks:
        for module in layers_with_matrix(subject.model):
            hooks.enter_context(module.register_forward_hook(lambda module, inputs, output: called.append(module)))
        subject.call(subject.batches[0])
    return called[-1] if called else None


@contextmanager
def scaled_last_layer(subject: Subject, factor: float) -> Iterator[bool]:
    """Multiply the weights of the last layer, in the block; whether there is such a layer.

    Args:
        subject: with the model.
        factor: of its matrix and of its bias.
    """
    layer = last_layer(subject)
    kept = [] if layer is None else [(weight, weight.data) for weight in layer.parameters(recurse=False)]
    try:
        for weight, value in kept:
            weight.data = factor * value  # another storage: graphs that the caller holds stay valid
        yield bool(kept)
    finally:
        for weight, value in kept:
            weight.data = value
