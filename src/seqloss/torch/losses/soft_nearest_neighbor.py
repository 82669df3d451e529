"""The soft nearest neighbour loss with PyTorch's autograd."""

from __future__ import annotations

import torch

from seqloss import contract
from seqloss.contract import Metric, PointReduction
from seqloss.formulas.soft_nearest_neighbor import scaling
from seqloss.torch.losses import neighbors
from seqloss.torch.losses.floats import read_floats
from seqloss.torch.losses.pair_blocks import BlockLosses, whole_losses
from seqloss.torch.losses.points import Labels, as_labels, reduce_losses
from seqloss.torch.namespace import TorchNamespace
from seqloss.torch.tracing import recorded_by_fx


@recorded_by_fx
def soft_nearest_neighbor(
    points: torch.Tensor,
    labels: Labels,
    *,
    temperature: float | torch.Tensor = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
) -> torch.Tensor:
    """Compute the soft nearest neighbour loss: how far the classes of a batch of points are apart.

    A point picks another one with a probability that falls with the distance. The loss is the negative log probability
    that it picks one of its own class y:

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    It is small if the nearest points are of the same class, and large if the classes are entangled.

    In eager mode, pairs are computed by blocks, forward and backward: no array has the size of all pairs. Under
    torch.func's transforms, in forward mode, for second derivatives and in compiled programs, some arrays have.

    Args:
        points: shape (points, dimensions), float16, bfloat16, float32 or float64, any strides, any device.
        labels: class of each point, shape (points,), any integers.
        temperature: positive number, or a tensor of shape (), which gets a gradient; with a large one, far points count
            too. To learn it, learn its logarithm.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine, where a point of zeros has the
            distance 1/2 to all others and no gradient.
        reduction: "mean" is over the points that have another point of their class; "sum"; "none" returns one loss per
            point.

    Returns:
        The loss in nats, a scalar, or shape (points,); float32, or float64 for float64 points. A point whose label
        occurs once has the loss 0 and no gradient, and a `SeqLossWarning` tells the number of such points, if the
        labels are on the host and not traced. A batch without any point that counts, and one with a single class,
        gives 0. A NaN or infinite coordinate makes every loss NaN, because each loss depends on all points.

    Raises:
        ShapeError: points, labels or temperature have the wrong rank or size.
        DTypeError: points or labels have an unsupported element type.
        OptionError: `metric` or `reduction` is unknown, or `temperature` is not positive. A temperature on a GPU, or
            one that is traced, is not checked; the loss is then NaN.

    Example:
        >>> import torch
        >>> from seqloss.torch import soft_nearest_neighbor
        >>> points = torch.tensor([[0.0], [0.1], [5.0], [5.1]], requires_grad=True)
        >>> round(soft_nearest_neighbor(points, torch.tensor([0, 0, 1, 1])).item(), 4)  # neighbours of one class
        0.0
        >>> loss = soft_nearest_neighbor(points, torch.tensor([0, 1, 0, 1]))
        >>> loss.backward()
        >>> round(loss.item(), 3), [round(entry, 3) for entry in points.grad[:, 0].tolist()]
        (24.99, [-4.9, -5.1, 5.1, 4.9])

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """
    contract.check_option("metric", metric, Metric)
    contract.check_option("reduction", reduction, PointReduction)
    values = read_floats("points", points)
    contract.check_points("points", values.shape, "(points, dimensions)")
    labels = as_labels(labels, values, "points")
    heat = neighbors.read_temperature(temperature, values)
    neighbors.warn_of_lone_points("soft_nearest_neighbor", labels)
    losses = _losses(values, labels, heat, metric).to(values.dtype)
    return reduce_losses(losses, _counted(labels) if reduction == "mean" else 1, reduction, None)


def _losses(points: torch.Tensor, labels: torch.Tensor, temperature: torch.Tensor, metric: Metric) -> torch.Tensor:
    xp = TorchNamespace(points.device)
    if not neighbors.is_plain_call(points, labels, temperature):
        return whole_losses(scaling.scale_points(xp, points, temperature, metric), labels)
    if _needs_float64(points, temperature, metric):
        points, temperature = points.double(), temperature.double()
    losses: torch.Tensor = BlockLosses.apply(scaling.scale_points(xp, points, temperature, metric), labels)
    return losses


def _needs_float64(points: torch.Tensor, temperature: torch.Tensor, metric: Metric) -> bool:
    """Whether float32 would lose too much; values on other devices than the CPU are not waited for."""
    if points.device.type != "cpu" or points.dtype == torch.float64 or not len(points):
        return False
    xp = TorchNamespace(points.device)
    return contract.needs_float64(scaling.largest_norm(xp, points.detach(), float(temperature.detach()), metric))


def _counted(labels: torch.Tensor) -> torch.Tensor:
    """The number of points that have another one of their class, at least 1."""
    if labels.shape[0] == 0:
        return labels.new_ones(())
    found, _ = labels.sort()
    equal = found[1:] == found[:-1]
    edge = equal.new_zeros(1)
    return (torch.cat([edge, equal]) | torch.cat([equal, edge])).sum().clamp(min=1)
