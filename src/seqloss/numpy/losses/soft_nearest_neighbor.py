"""The soft nearest neighbour loss and its gradient on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Metric, PointReduction
from seqloss.formulas.soft_nearest_neighbor import blocks, scaling
from seqloss.formulas.soft_nearest_neighbor.blocks import LogSums, Range
from seqloss.numpy.arrays import Upstream
from seqloss.numpy.losses.floats import as_type, read_floats, read_upstream
from seqloss.numpy.losses.points import Labels, Points, read_labels
from seqloss.numpy.namespace import XP

BLOCK = 512
"""Points in a block of pairs: its scores stay in the cache."""


def soft_nearest_neighbor(
    points: Points,
    labels: Labels,
    *,
    temperature: float = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
) -> npt.NDArray[np.floating] | np.floating:
    """Compute the soft nearest neighbour loss: how far the classes of a batch of points are apart.

    A point picks another one with a probability that falls with the distance. The loss is the negative log probability
    that it picks one of its own class y:

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    It is small if the nearest points are of the same class, and large if the classes are entangled.

    Args:
        points: shape (points, dimensions), float16, bfloat16 (of ml_dtypes), float32 or float64, any strides.
        labels: class of each point, shape (points,), any integers.
        temperature: positive number, or an array of shape (); with a large one, far points count too.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine, where a point of zeros has the
            distance 1/2 to all others.
        reduction: "mean" is over the points that have another point of their class; "sum"; "none" returns one loss per
            point.

    Returns:
        The loss in nats, a scalar, or shape (points,); float32, or float64 for float64 points. A point whose label
        occurs once has the loss 0, and a `SeqLossWarning` tells the number of such points. A batch without any point
        that counts, and one with a single class, gives 0. A NaN or infinite coordinate makes every loss NaN, because
        each loss depends on all points.

    Raises:
        ShapeError: points, labels or temperature have the wrong rank or size.
        DTypeError: points or labels have an unsupported element type, or are masked arrays.
        OptionError: `metric` or `reduction` is unknown, or `temperature` is not positive.

    Example:
        >>> from seqloss.numpy import soft_nearest_neighbor
        >>> points = [[0.0], [0.1], [5.0], [5.1]]
        >>> float(soft_nearest_neighbor(points, [0, 0, 1, 1]).round(4)), float(
        ...     soft_nearest_neighbor(points, [0, 1, 0, 1]).round(4)
        ... )
        (0.0, 24.99)

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """
    call = _prepare(points, labels, temperature, metric, reduction)
    return call.reduced(call.losses().astype(call.kind), reduction)


def soft_nearest_neighbor_and_grad(
    points: Points,
    labels: Labels,
    *,
    temperature: float = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
    upstream: Upstream | None = None,
) -> tuple[npt.NDArray[np.floating] | np.floating, npt.NDArray[np.floating], np.floating]:
    """Compute the soft nearest neighbour loss and its gradients, without an automatic differentiation framework.

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    Pairs are computed by blocks: no array has the size of all pairs.

    Args:
        points: shape (points, dimensions), float16, bfloat16 (of ml_dtypes), float32 or float64, any strides.
        labels: class of each point, shape (points,), any integers.
        temperature: positive number, or an array of shape (); with a large one, far points count too.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine, where a point of zeros has the
            distance 1/2 to all others and no gradient.
        reduction: "mean" is over the points that have another point of their class; "sum"; "none" returns one loss per
            point.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (points,) with
            reduction="none"; None for 1.

    Returns:
        * The loss in nats, a scalar, or shape (points,); float32, or float64 for float64 points. A point whose label
          occurs once has the loss 0, and a `SeqLossWarning` tells the number of such points. A batch without any point
          that counts, and one with a single class, gives 0. A NaN or infinite coordinate makes every loss NaN.
        * The gradient of sum(upstream * loss) with respect to the points, in their shape and type.
        * The gradient with respect to the temperature, in the type of the loss.

    Raises:
        ShapeError: points, labels, temperature or `upstream` have the wrong rank or size.
        DTypeError: points or labels have an unsupported element type, or are masked arrays.
        OptionError: `metric` or `reduction` is unknown, or `temperature` is not positive.

    Example:
        >>> from seqloss.numpy import soft_nearest_neighbor_and_grad
        >>> points, labels = [[0.0], [1.0], [3.0], [4.0]], [0, 1, 0, 1]
        >>> loss, gradient, of_temperature = soft_nearest_neighbor_and_grad(points, labels)
        >>> gradient.round(3).tolist()  # minus the gradient moves the left two to the right, towards their own class
        [[-2.023], [-3.88], [3.88], [2.023]]

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """
    call = _prepare(points, labels, temperature, metric, reduction)
    losses = call.losses().astype(call.kind)
    weights = call.weights(reduction) * read_upstream(upstream, losses.shape if reduction == "none" else ())
    gradient, of_temperature = call.gradients(weights)
    with np.errstate(over="ignore", under="ignore"):
        return call.reduced(losses, reduction), as_type(gradient, call.given_as), call.kind.type(of_temperature)


@dataclass
class _Call:
    """A checked call.

    Attributes:
        points: float32 or float64.
        given_as: their original type.
        labels: (points,).
        temperature, metric: as given.
        scaled: of `scale_points`, sorted by label; float64 where float32 would lose too much.
        order: the places of the sorted points in the batch.
        ranges: of `blocks.ranges_of_sorted`.
        counts: bool (points,), which points have another one of their class.
        kind: the type of the loss.
    """

    points: np.ndarray
    given_as: np.dtype
    labels: np.ndarray
    temperature: float
    metric: Metric
    scaled: np.ndarray
    order: np.ndarray
    ranges: list[Range]
    counts: np.ndarray
    kind: np.dtype
    sums: LogSums | None = None

    def losses(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            self.sums = blocks.log_sums(XP, self.scaled, self.labels[self.order], self.ranges)
            return self._unsorted(blocks.losses_of(XP, self.sums, self.scaled))

    def gradients(self, weights: np.ndarray) -> tuple[np.ndarray, np.floating]:
        """With respect to the points, (points, dimensions), and the temperature."""
        assert self.sums is not None
        weights = weights.astype(self.scaled.dtype)[self.order]
        given = (self.scaled, self.labels[self.order], self.ranges, self.sums, weights)
        with np.errstate(all="ignore"):
            found = blocks.gradient(XP, *given)
            of_temperature = -(found * self.scaled).sum(dtype=np.float64) / (2 * self.temperature)
            points = self.points.astype(self.scaled.dtype, copy=False)
            return scaling.unscale_gradient(XP, points, self.temperature, self.metric, self._unsorted(found)), (
                of_temperature
            )

    def weights(self, reduction: PointReduction) -> np.ndarray:
        """The weight of each point in the reduced loss, float64 (points,)."""
        divisor = max(int(self.counts.sum()), 1) if reduction == "mean" else 1
        return np.full(self.counts.shape, 1 / divisor)

    def reduced(self, losses: np.ndarray, reduction: PointReduction) -> np.ndarray | np.floating:
        if reduction == "none":
            return losses
        return (losses * self.weights(reduction).astype(losses.dtype)).sum(dtype=losses.dtype)

    def _unsorted(self, x: np.ndarray) -> np.ndarray:
        found = np.empty_like(x)
        found[self.order] = x
        return found


def _prepare(points: Points, labels: Labels, temperature: float, metric: Metric, reduction: PointReduction) -> _Call:
    contract.check_option("metric", metric, Metric)
    contract.check_option("reduction", reduction, PointReduction)
    contract.check_temperature(temperature)
    temperature = float(temperature)
    values, given_as = read_floats("points", points)
    contract.check_points("points", values.shape, "(points, dimensions)")
    classes = read_labels(labels, values.shape[0], "points")
    contract.warn_of_lone_points("soft_nearest_neighbor", classes)
    with np.errstate(all="ignore"):
        if len(values) and contract.needs_float64(scaling.largest_norm(XP, values, temperature, metric)):
            scaled = scaling.scale_points(XP, values.astype(np.float64), np.float64(temperature), metric)
        else:
            scaled = scaling.scale_points(XP, values, values.dtype.type(temperature), metric)
    order = np.argsort(classes, kind="stable")
    ranges = blocks.ranges_of_sorted(classes[order], BLOCK)
    _, place, count = np.unique(classes, return_inverse=True, return_counts=True)
    return _Call(
        values, given_as, classes, temperature, metric, scaled[order], order, ranges, count[place] > 1,
        values.dtype,
    )  # fmt: skip
