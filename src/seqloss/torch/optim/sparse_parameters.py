"""Which parameters of a model get sparse gradients: from its modules, or from a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seqloss.errors import DTypeError
from seqloss.torch.optim.gradients import is_sparse

Probe = Callable[[], Tensor]
"""Computes the loss of some batch."""


def sparse_names(model: nn.Module, probe: Probe | None = None) -> set[str]:
    """Names of the parameters whose gradient is sparse.

    Without a probe, these are the weights of embeddings with `sparse=True`. A weight that another module has too, such
    as a tied output layer, gets the sum of both gradients, which is dense.
    """
    found = names_by_modules(model)
    return found if probe is None else names_by_probe(model, probe, found)


def names_by_modules(model: nn.Module) -> set[str]:
    of_embeddings, of_others = set[int](), set[int]()
    for module in model.modules():
        sparse = isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
        (of_embeddings if sparse else of_others).update(id(param) for param in module.parameters(recurse=False))
    return {name for name, param in model.named_parameters() if id(param) in of_embeddings - of_others}


def names_by_probe(model: nn.Module, probe: Probe, otherwise: set[str]) -> set[str]:
    """The names by a backward pass; a parameter without a gradient there is what its module says."""
    trained = {name: param for name, param in model.named_parameters() if param.requires_grad}
    with unchanged(model), torch.enable_grad():
        loss = probe()
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise DTypeError(
                f"probe: found {found}, expected a loss: a tensor of one element that depends on the model's "
                "parameters; return it without calling backward."
            )
        gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    names = set(otherwise)
    for name, gradient in zip(trained, gradients, strict=True):
        if gradient is not None:
            names = names | {name} if is_sparse(gradient) else names - {name}
    return names


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put buffers, such as the statistics of a batch normalisation, and random numbers back at the end."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({param.device.index for param in model.parameters() if param.is_cuda})
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
