"""Points z with -|z_i - z_j|^2 = -distance(x_i, x_j) / temperature.

* Squared Euclidean distance: z = x / sqrt(temperature).
* Cosine distance: 1 - cos(x_i, x_j) = |u_i - u_j|^2 / 2 for u = x / |x|, and z = u / sqrt(2 temperature). A point of
  zeros has no direction; with u = 0 it is 1/2 away from all others.

Distances do not change if the mean is subtracted from all points, and |z|^2 is then small: the product of matrices
that gives the distances loses the digits that |z|^2 has beyond them. As the distances do not depend on what is
subtracted, that is a constant for the derivatives.
"""

from __future__ import annotations

from typing import Any

from seqloss.formulas.namespace import Namespace

Array = Any


def scale_points(xp: Namespace, points: Array, temperature: Array, metric: str) -> Array:
    """z, (points, dimensions). A temperature that is not positive gives NaN.

    Args:
        points: (points, dimensions), float32 or float64.
        temperature: a scalar of the same type.
        metric: "euclidean" or "cosine".
    """
    if metric == "cosine":
        points, temperature = unit_vectors(xp, points), 2 * temperature
    positive = xp.where(temperature > 0, temperature, float("nan"))
    return (points - mean_point(xp, points)) / xp.sqrt(positive)


def mean_point(xp: Namespace, points: Array) -> Array:
    """(1, dimensions), a constant for the derivatives."""
    ones = xp.as_float(xp.arange(xp.size(points, 0)), points) * 0 + 1  # TensorFlow may not know their number yet
    count = xp.maximum(xp.sum(ones, 0), 1.0)
    return xp.stop_gradient(xp.sum(points, 0) / count)


def unit_vectors(xp: Namespace, points: Array) -> Array:
    """x / |x|; 0, with a gradient of 0, for a point of zeros, which has no direction."""
    largest = xp.stop_gradient(xp.max(xp.maximum(points, -points), 1))
    is_zero = largest == 0
    points = points / xp.where(is_zero, 1.0, largest)  # no square overflows; a constant, as the length does not matter
    squares = xp.where(is_zero, 1.0, xp.sum(points * points, 1))
    return xp.where(is_zero, 0.0, points / xp.sqrt(squares))


def largest_norm(xp: Namespace, points: Array, temperature: Any, metric: str) -> float:
    """The largest |z|^2, for an array whose values the host knows; not finite where it is not."""
    if metric == "cosine":
        return float(1 / (2 * temperature))
    centred = points - mean_point(xp, points)
    return float(xp.max(xp.sum(centred * centred, 1), 0)[0, 0]) / temperature


def unscale_gradient(xp: Namespace, points: Array, temperature: Any, metric: str, gradient: Array) -> Array:
    """The gradient with respect to the points, from that with respect to z.

    Args:
        points, temperature, metric: as for `scale_points`.
        gradient: (points, dimensions).
    """
    if metric == "euclidean":
        return gradient / temperature**0.5
    gradient = gradient / (2 * temperature) ** 0.5
    units = unit_vectors(xp, points)
    largest = xp.max(xp.maximum(points, -points), 1)
    largest = xp.where(largest == 0, 1.0, largest)
    length = largest * xp.sqrt(xp.sum((points / largest) * (points / largest), 1))
    return xp.where(length == 0, 0.0, (gradient - units * xp.sum(units * gradient, 1)) / length)
