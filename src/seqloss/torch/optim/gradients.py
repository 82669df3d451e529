"""Gradients of a layout that an optimiser does not take, found before it changes a weight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from seqloss.errors import GradientError


def named_gradients(optimizer: Optimizer) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each parameter that has a gradient: what to call it in a message, the parameter, the gradient."""
    for number, group in enumerate(optimizer.param_groups):
        for position, param in enumerate(group["params"]):
            if param.grad is not None:
                name = f" ({group['param_names'][position]})" if "param_names" in group else ""
                yield f"parameter {position} of group {number}{name}", param, param.grad


def is_sparse(gradient: Tensor) -> bool:
    """Whether a gradient lists its elements that are not 0."""
    return gradient.layout is not torch.strided


def refuse_sparse(optimizer: Optimizer) -> None:
    """Raise for the first sparse gradient."""
    for name, _, gradient in named_gradients(optimizer):
        if is_sparse(gradient):
            raise GradientError(
                f"{name}, of shape {tuple(gradient.shape)}: found a sparse gradient, expected a dense one; make the "
                f"embedding with sparse=False, or use DenseSparseOptimizer(model, dense={type(optimizer).__name__})."
            )
