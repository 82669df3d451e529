"""The triplet loss on cosines, on tensors of Keras' backend."""

from __future__ import annotations

from keras import ops

from seqloss.contract import PointReduction
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, Points
from seqloss.keras.losses.arrays import as_tensor, backend_function, in_loss_type


def cosine_triplet(
    anchor: Points,
    positive: Points,
    negative: Points,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
) -> BackendTensor:
    """Make an anchor's cosine to a positive larger than that to a negative, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient. `pick_triplets` picks the
    triplets of a batch; the index tuples of pytorch-metric-learning's miners do as well.

    For `model.compile` use `seqloss.keras.CosineTriplet`.

    Args:
        anchor: shape (triplets, features), float16, bfloat16, float32 or float64.
        positive: what shall be near the anchor, of the same shape.
        negative: what shall be further away, of the same shape.
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        reduction: "none" returns one loss per triplet; "sum" their sum; "mean" the sum divided by their number, at
            least 1.
        denominator: positive number that divides the sum; only with reduction="sum".

    Returns:
        The loss, shape (triplets,), or a scalar after a reduction; float32, or float64 if an argument is float64, a
        tensor of Keras' backend. It is 0 without a triplet. A NaN or inf in a row makes the loss of this triplet NaN.

    Raises:
        ShapeError: an argument has the wrong rank, or not the shape of the anchor.
        DTypeError: an argument has an unsupported element type.
        OptionError: `reduction` is unknown, `margin` is negative or not finite, or `denominator` is not positive or is
            given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import cosine_triplet
        >>> anchor, near, far = np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
        >>> round(float(cosine_triplet(anchor, near, far)), 4)  # 0.8 - 0.6 + 0.3
        0.5

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    vectors = [as_tensor(name, values) for name, values in given.items()]
    if in_symbolic_scope():
        anchor = in_loss_type(vectors[0])
        return ops.sum(anchor, axis=1) if reduction == "none" else ops.sum(anchor)
    return backend_function("cosine_triplet")(*vectors, margin=margin, reduction=reduction, denominator=denominator)
