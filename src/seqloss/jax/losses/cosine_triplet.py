"""The triplet loss on cosines, under JAX's transformations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqloss import contract
from seqloss.contract import Negatives, PointReduction
from seqloss.errors import OptionError
from seqloss.formulas import cosine_triplet as formula
from seqloss.jax.arrays import host_value
from seqloss.jax.losses.floats import read_floats
from seqloss.jax.losses.points import Labels, Points, as_labels, reduce_losses
from seqloss.jax.namespace import XP
from seqloss.numpy.losses.pick_triplets import refuse_without_triplets


def cosine_triplet(
    anchor: Points,
    positive: Points,
    negative: Points,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
) -> jax.Array:
    """Make an anchor's cosine to a positive larger than that to a negative, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient. `pick_triplets` picks the
    triplets of a batch; the index tuples of pytorch-metric-learning's miners do as well.

    It is made of JAX's operations, so that all transformations work, to any order. At the kink of the hinge the
    gradient is 0.

    Inside jit, where the rows of a batch cannot be picked by value, take `batch_cosine_triplet`.

    Args:
        anchor: shape (triplets, features), float16, bfloat16, float32 or, if `jax_enable_x64` is set, float64.
        positive: what shall be near the anchor, of the same shape.
        negative: what shall be further away, of the same shape.
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        reduction: "none" returns one loss per triplet; "sum" their sum; "mean" the sum divided by their number, at
            least 1.
        denominator: positive number that divides the sum; only with reduction="sum".

    Returns:
        The loss, shape (triplets,), or a scalar after a reduction; float32, or float64 if an argument is float64. It is
        0 without a triplet. A NaN or inf in a row makes the loss of this triplet NaN.

    Raises:
        ShapeError: an argument has the wrong rank, or not the shape of the anchor.
        DTypeError: an argument has an unsupported element type.
        OptionError: `reduction` is unknown, `margin` is negative or not finite, or `denominator` is not positive or is
            given without reduction="sum".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import cosine_triplet
        >>> anchor, near, far = jnp.array([[1.0, 0.0]]), jnp.array([[3.0, 4.0]]), jnp.array([[4.0, 3.0]])
        >>> loss, gradient = jax.value_and_grad(cosine_triplet)(anchor, near, far)
        >>> round(float(loss), 4)  # 0.8 - 0.6 + 0.3
        0.5

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    contract.check_margin(margin)
    contract.check_pair_reduction(reduction, denominator)
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    vectors = [read_floats(name, values)[0] for name, values in given.items()]
    contract.check_same_shapes(**{name: values.shape for name, values in zip(given, vectors, strict=True)})
    losses = formula.triplet_losses(XP, vectors, float(margin))
    return reduce_losses(losses, max(losses.shape[0], 1), reduction, denominator)


def batch_cosine_triplet(
    embeddings: Points,
    labels: Labels,
    *,
    margin: float = 0.3,
    negatives: Negatives = "semi-hard",
    key: jax.Array | None = None,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> jax.Array:
    """Compute the triplet loss on cosines of all triplets that `pick_triplets` would pick, inside of jit.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    Each row is an anchor, with each other row of its label as a positive, and a negative that `negatives` chooses by
    cosine. The choice is a part of the program, and its gradient is that of the triplets that it chose.

    Args:
        embeddings: shape (batch, features), float16, bfloat16, float32 or, if `jax_enable_x64` is set, float64.
        labels: any integers, shape (batch,).
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        negatives: "random", any row of another label; "semi-hard", the nearest of those that are further from the
            anchor than the positive, or the furthest of all where there is none; "hardest", the nearest.
        key: of jax.random, for "random".
        reduction: "none" returns the loss of each pair (anchor, positive), shape (batch, batch), 0 where there is none;
            "sum" their sum; "mean" the sum divided by the number of pairs, at least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True raises an error for known labels of a batch without a triplet. False returns 0 for it.

    Returns:
        The loss, a scalar, or shape (batch, batch) with reduction="none"; float32, or float64 for float64 embeddings.
        It is 0 without a triplet.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that there
            is no positive. Traced labels are not checked: the loss is 0.
        OptionError: an option has an unknown value, `margin` is negative or not finite, `denominator` is not positive
            or is given without reduction="sum", or "random" has no key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import batch_cosine_triplet
        >>> embeddings = jnp.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
        >>> loss, gradient = jax.jit(jax.value_and_grad(batch_cosine_triplet))(embeddings, jnp.array([7, 7, 2, 1]))
        >>> round(float(loss), 4)
        0.25

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    contract.check_margin(margin)
    contract.check_option("negatives", negatives, Negatives)
    contract.check_pair_reduction(reduction, denominator)
    values, _ = read_floats("embeddings", embeddings)
    contract.check_points("embeddings", values.shape, "(batch, features)")
    classes = as_labels(labels, values.shape[0])
    known = host_value(labels) if validate else None
    if known is not None:
        refuse_without_triplets(np.asarray(known))
    uniform = _uniform(key, values) if negatives == "random" else None
    losses, pairs = formula.batch_losses(XP, values, classes, float(margin), negatives, uniform)
    return reduce_losses(losses, jnp.maximum(jnp.sum(pairs), 1), reduction, denominator)


def _uniform(key: jax.Array | None, values: jax.Array) -> jax.Array:
    if key is None:
        raise OptionError('key: found None, expected a key of jax.random for negatives="random".')
    return jax.random.uniform(key, (values.shape[0],) * 2, values.dtype)
