"""The triplet loss on cosines, and the choice of a negative for each pair of a batch.

    loss = max(0, cos(a, n) - cos(a, p) + margin)

which is d(a, p) - d(a, n) + margin, cut off at 0, for the cosine distance d = 1 - cos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqloss.formulas.namespace import Array, Namespace


def directions(xp: Namespace, points: Array) -> Array:
    """Points (batch, features) of length 1; a point of zeros, which has no direction, stays zeros, without a gradient.

    A point is divided by its largest entry first, so that no square overflows or underflows. The cosine does not depend
    on that divisor, and so it is a constant.
    """
    largest = xp.stop_gradient(xp.max(xp.maximum(points, -points), 1))
    zeros = largest == 0.0
    scaled = points / xp.where(zeros, 1.0, largest)
    scaled = xp.where(zeros, xp.stop_gradient(scaled), scaled)
    squares = xp.sum(scaled * scaled, 1)
    return scaled / xp.sqrt(xp.where(zeros, 1.0, squares))


def hinged(xp: Namespace, to_positive: Array, to_negative: Array, margin: float) -> Array:
    """The loss of triplets from two cosines each; at the kink its gradient is 0, and NaN stays."""
    excess = to_negative - to_positive + margin
    return xp.where(excess <= 0.0, 0.0, excess)


def triplet_losses(xp: Namespace, vectors: Sequence[Array], margin: float) -> Array:
    """Anchors, positives and negatives, (triplets, features) each -> (triplets,)."""
    return direction_losses(xp, [directions(xp, points) for points in vectors], margin)


def direction_losses(xp: Namespace, vectors: Sequence[Array], margin: float) -> Array:
    """The same of vectors of length 1."""
    anchor, positive, negative = vectors
    return hinged(xp, xp.sum(anchor * positive, 1), xp.sum(anchor * negative, 1), margin)[:, 0]


class Choice(NamedTuple):
    """A negative for each pair (anchor, positive) of a batch.

    Attributes:
        negatives: row numbers, int32 (batch, batch), or (batch, 1) where they are the same for all pairs of an anchor.
        pairs: where there is a triplet: the labels are equal, the rows are not, and the anchor has a negative.
    """

    negatives: Array
    pairs: Array


def choose_negatives(
    xp: Namespace, cosines: Array, labels: Array, negatives: str, uniform: Array | None = None
) -> Choice:
    """Choose from each anchor's negatives, sorted by their cosine.

    Args:
        cosines: (batch, batch), without a gradient.
        labels: (batch,).
        negatives: "random"; "hardest", the nearest; "semi-hard", the nearest of those that are further than the
            positive, or the furthest of all where there is none.
        uniform: numbers from 0 to 1, (batch, batch), for "random".
    """
    count = xp.size(labels, 0)
    different = labels[:, None] != labels[None, :]
    nearest = 2.0  # NaN, which is chosen first, so that the loss shows it
    keys = xp.where(different, xp.where(cosines != cosines, nearest, cosines), float("inf"))
    order = xp.argsort(keys, 1)
    available = xp.as_int(xp.sum(xp.as_float(different, cosines), 1))
    place = available - 1  # the last one, which is the nearest
    if negatives == "random":
        place = xp.as_int(uniform * xp.as_float(available, cosines))
    elif negatives == "semi-hard":
        place = xp.searchsorted(_rows_of(xp, keys, order), cosines) - 1
    place = xp.maximum(xp.minimum(place, available - 1), 0)
    position = xp.arange(count)
    pairs = (labels[:, None] == labels[None, :]) & (position[:, None] != position[None, :]) & (available > 0)
    return Choice(xp.as_int(_rows_of(xp, order, place)), pairs)


def _rows_of(xp: Namespace, values: Array, indices: Array) -> Array:
    """(batch, n), (batch, k) -> (batch, k): entries of each row."""
    return xp.take(values[:, None, :], indices)[:, 0, :]


def batch_losses(
    xp: Namespace, points: Array, labels: Array, margin: float, negatives: str, uniform: Array | None = None
) -> tuple[Array, Array]:
    """The loss of each pair (anchor, positive), with the negative that is chosen for it, 0 where there is no triplet.

    Returns:
        (batch, batch), and where there is a triplet.
    """
    own = directions(xp, points)
    cosines = xp.matmul(own, xp.transpose(own, (1, 0)))
    chosen = choose_negatives(xp, xp.stop_gradient(cosines), labels, negatives, uniform)
    losses = hinged(xp, cosines, _rows_of(xp, cosines, chosen.negatives), margin)
    return xp.where(chosen.pairs, losses, 0.0), chosen.pairs
