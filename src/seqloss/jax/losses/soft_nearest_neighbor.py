"""The soft nearest neighbour loss under JAX's transformations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from seqloss import contract
from seqloss.contract import Metric, PointReduction
from seqloss.formulas.soft_nearest_neighbor import scaling, whole
from seqloss.jax.losses.floats import read_floats
from seqloss.jax.losses.neighbors import read_temperature, warn_of_lone_points
from seqloss.jax.losses.points import Labels, Points, as_labels, reduce_losses
from seqloss.jax.namespace import XP

ROWS = 512
"""Points whose scores with all points are computed at a time."""


def soft_nearest_neighbor(
    points: Points,
    labels: Labels,
    *,
    temperature: float | jax.Array = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
) -> jax.Array:
    """Compute the soft nearest neighbour loss: how far the classes of a batch of points are apart.

    A point picks another one with a probability that falls with the distance. The loss is the negative log probability
    that it picks one of its own class y:

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    It is small if the nearest points are of the same class, and large if the classes are entangled.

    It works under jit, grad, vmap, jvp, hessian and checkpoint. Pairs are computed for 512 points at a time, forward
    and, again, backward: no array has the size of all pairs.

    Args:
        points: shape (points, dimensions), float16, bfloat16, float32 or, if `jax_enable_x64` is set, float64.
        labels: class of each point, shape (points,), any integers.
        temperature: positive number, or an array of shape (), which can be differentiated; with a large one, far points
            count too. To learn it, learn its logarithm.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine, where a point of zeros has the
            distance 1/2 to all others and no gradient.
        reduction: "mean" is over the points that have another point of their class; "sum"; "none" returns one loss per
            point.

    Returns:
        The loss in nats, a scalar, or shape (points,); float32, or float64 for float64 points. A point whose label
        occurs once has the loss 0 and no gradient, and a `SeqLossWarning` tells the number of such points, if the
        labels are known when Python runs. A batch without any point that counts, and one with a single class, gives 0.
        A NaN or infinite coordinate makes every loss NaN, because each loss depends on all points.

    Raises:
        ShapeError: points, labels or temperature have the wrong rank or size.
        DTypeError: points or labels have an unsupported element type.
        OptionError: `metric` or `reduction` is unknown, or `temperature` is not positive. A temperature that is traced
            or on an accelerator is not checked; the loss is then NaN.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import soft_nearest_neighbor
        >>> points = jnp.array([[0.0], [0.1], [5.0], [5.1]])
        >>> round(float(soft_nearest_neighbor(points, jnp.array([0, 0, 1, 1]))), 4)  # neighbours of one class
        0.0
        >>> loss, gradient = jax.value_and_grad(soft_nearest_neighbor)(points, jnp.array([0, 1, 0, 1]))
        >>> round(float(loss), 3), [round(float(entry), 3) for entry in gradient[:, 0]]
        (24.99, [-4.9, -5.1, 5.1, 4.9])

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """
    contract.check_option("metric", metric, Metric)
    contract.check_option("reduction", reduction, PointReduction)
    values, _ = read_floats("points", points)
    contract.check_points("points", values.shape, "(points, dimensions)")
    classes = as_labels(labels, values.shape[0], "points")
    heat = read_temperature(temperature, values)
    warn_of_lone_points("soft_nearest_neighbor", labels)
    losses = _losses(scaling.scale_points(XP, values, heat, metric), classes)
    return reduce_losses(losses, _counted(classes) if reduction == "mean" else 1, reduction, None)


def _losses(points: jax.Array, labels: jax.Array) -> jax.Array:
    """(points,), computed again for the gradient, so that only `ROWS` rows of scores exist at a time."""
    count = points.shape[0]
    if count == 0:
        return jnp.sum(points, 1)
    if count <= ROWS:
        return whole.point_losses(XP, points, labels, XP.arange(count), points, labels)
    blocks = -(-count // ROWS)
    numbers = jnp.minimum(jnp.arange(blocks * ROWS, dtype=jnp.int32), count - 1).reshape(blocks, ROWS)

    @jax.checkpoint
    def of_rows(rows: jax.Array) -> jax.Array:
        return whole.point_losses(XP, points[rows], labels[rows], rows, points, labels)

    return lax.map(of_rows, numbers).reshape(-1)[:count]


def _counted(labels: jax.Array) -> jax.Array:
    """The number of points that have another one of their class, at least 1."""
    equal = jnp.diff(jnp.sort(labels)) == 0
    return jnp.maximum(jnp.sum(jnp.pad(equal, (1, 0)) | jnp.pad(equal, (0, 1))), 1)
