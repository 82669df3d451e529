"""Which outputs of a model are its results: the loss reads them, and no other output is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqloss.doctor.first_layer import layers_with_matrix
from seqloss.doctor.subject import Subject


def final_outputs(subject: Subject) -> dict[str, Tensor]:
    """Outputs of floats for the first batch that are judged as those of the last layer.

    Attention weights, masks and hidden states that are returned beside the result are none: the loss does not read
    them, or the result is computed from them. Nor is a number that no layer computes, such as a learned deviation. If
    no output is left, all are judged.
    """
    with torch.enable_grad():
        call = subject.call(subject.batches[0])
        floats = {name: x for name, x in call.outputs.items() if x.is_floating_point()}
        used = _used(call.loss, {name: x for name, x in floats.items() if x.requires_grad})
        found = {name: x for name, x in used.items() if not _is_read(x, used) and _has_layer(subject, x)}
    return found or floats


def _used(loss: Tensor, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that the loss is computed from."""
    if not outputs or not loss.requires_grad:
        return {}
    gradients = _gradients([loss], list(outputs.values()))
    return {name: x for (name, x), gradient in zip(outputs.items(), gradients, strict=True) if gradient is not None}


def _is_read(x: Tensor, outputs: Mapping[str, Tensor]) -> bool:
    """Whether another output is computed from it; a loss that the model returns does not count."""
    others = [one for one in outputs.values() if one is not x and one.numel() > 1]
    return bool(others) and _gradients(others, [x])[0] is not None


def _has_layer(subject: Subject, x: Tensor) -> bool:
    """Whether it is computed by a layer with a matrix, if any of these is trained."""
    layers = layers_with_matrix(subject.model)
    weights = [weight for layer in layers for weight in layer.parameters(recurse=False) if weight.requires_grad]
    return not weights or any(gradient is not None for gradient in _gradients([x], weights))


def _gradients(results: Sequence[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    ones = [torch.ones_like(x) for x in results]
    return torch.autograd.grad(results, inputs, ones, retain_graph=True, allow_unused=True)
