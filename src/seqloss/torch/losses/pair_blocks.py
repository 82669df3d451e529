"""The soft nearest neighbour losses of scaled points in eager mode: by blocks of pairs, with their analytic gradient.

A derivative of the gradient is taken by autograd from the whole expression, so that all higher derivatives are right.
It needs memory for some arrays of all pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from seqloss.formulas.soft_nearest_neighbor import blocks, whole
from seqloss.formulas.soft_nearest_neighbor.blocks import LogSums, Range
from seqloss.torch._compat import is_batched, needs_graph
from seqloss.torch.last_derivative import refuse_detached
from seqloss.torch.losses.floats import host_values
from seqloss.torch.losses.neighbors import without_autocast
from seqloss.torch.namespace import TorchNamespace

BLOCK = {"cpu": 512}
"""Points in a block of pairs: on a CPU, its scores stay in the cache."""

LARGE_BLOCK = 4096
"""The same on other devices, where each block is a launch of some twenty kernels."""


class Pairs(NamedTuple):
    """How the points of a batch are taken by blocks.

    Attributes:
        order: (points,), the places of the sorted points in the batch.
        labels: (points,), sorted.
        ranges: of the sorted points.
    """

    order: torch.Tensor
    labels: torch.Tensor
    ranges: list[Range]


def sort_points(labels: torch.Tensor) -> Pairs:
    """Sort points by label, on the device; only labels on the host say which blocks are of one class."""
    size = BLOCK.get(labels.device.type, LARGE_BLOCK)
    found, order = labels.sort(stable=True)
    known = host_values(found)
    if known is not None:
        return Pairs(order, found, blocks.ranges_of_sorted(known, size))
    return Pairs(order, found, blocks.ranges_of(len(labels), size))


def whole_losses(points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The losses as one expression of PyTorch's operators, (points,).

    Under autocast in float64, which autocast leaves alone: it would round the matrices of the derivatives to a half
    type.
    """
    if torch.is_autocast_enabled(points.device.type):
        points = points.double()
    if points.shape[0] == 0:
        return points.sum(1)
    xp = TorchNamespace(points.device)
    return whole.point_losses(xp, points, labels, xp.arange(points.shape[0]), points, labels)


class BlockLosses(torch.autograd.Function):
    """The losses of scaled points (points, dimensions), given their labels (points,)."""

    @staticmethod
    def forward(ctx: Any, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        ctx.set_materialize_grads(False)
        xp, pairs = TorchNamespace(points.device), sort_points(labels)
        ordered = points[pairs.order]
        with without_autocast(points):
            sums = blocks.log_sums(xp, ordered, pairs.labels, pairs.ranges)
            losses = blocks.losses_of(xp, sums, ordered)
        ctx.ranges = pairs.ranges
        ctx.save_for_backward(points, labels, pairs.order, *sums)
        return torch.empty_like(losses).index_copy_(0, pairs.order, losses)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, None]:
        if upstream is None:
            return None, None
        points, labels, order, *sums = ctx.saved_tensors
        if needs_graph() or is_batched(upstream):
            return _differentiable_gradient(points, labels, upstream), None
        xp, ordered = TorchNamespace(points.device), points[order]
        with without_autocast(points):
            found = blocks.gradient(xp, ordered, labels[order], ctx.ranges, LogSums(*sums), upstream[order])
        return torch.empty_like(found).index_copy_(0, order, found), None


def _differentiable_gradient(points: torch.Tensor, labels: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    refuse_detached("soft_nearest_neighbor", points)
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        given = points if points.requires_grad else points.detach().requires_grad_()
        losses = whole_losses(given, labels)
        (found,) = torch.autograd.grad(losses, given, upstream.to(losses.dtype), create_graph=graph)
    return found
