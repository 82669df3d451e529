"""The triplet loss on cosines, and its gradient, on NumPy arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import PointReduction
from seqloss.formulas import cosine_triplet as formula
from seqloss.numpy.arrays import Upstream
from seqloss.numpy.losses.floats import as_type, read_floats, read_upstream
from seqloss.numpy.losses.points import Points
from seqloss.numpy.namespace import XP

Gradients: TypeAlias = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""With respect to anchor, positive and negative."""


def cosine_triplet(
    anchor: Points,
    positive: Points,
    negative: Points,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
) -> npt.NDArray[np.floating] | np.floating:
    """Make an anchor's cosine to a positive larger than that to a negative, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient. `pick_triplets` picks the
    triplets of a batch; the index tuples of pytorch-metric-learning's miners do as well.

    Args:
        anchor: shape (triplets, features), float16, bfloat16 (of ml_dtypes), float32 or float64.
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
        DTypeError: an argument has an unsupported element type, or is a masked array.
        OptionError: `reduction` is unknown, `margin` is negative or not finite, or `denominator` is not positive or is
            given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import cosine_triplet
        >>> anchor, near, far = np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
        >>> cosine_triplet(anchor, near, far).round(4)  # 0.8 - 0.6 + 0.3
        np.float64(0.5)

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    vectors = _read(anchor, positive, negative)
    _check_options(margin, reduction, denominator)
    with np.errstate(invalid="ignore"):
        losses = formula.triplet_losses(XP, [vector for vector, _ in vectors], float(margin))
    return _reduce(losses, reduction, denominator)


def cosine_triplet_and_grad(
    anchor: Points,
    positive: Points,
    negative: Points,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    upstream: Upstream | None = None,
) -> tuple[npt.NDArray[np.floating] | np.floating, Gradients]:
    """Compute the triplet loss on cosines and its gradients, for training without automatic differentiation.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient. `pick_triplets` picks the
    triplets of a batch; the index tuples of pytorch-metric-learning's miners do as well.

    At the kink of the hinge the gradient is 0.

    Args:
        anchor: shape (triplets, features), float16, bfloat16 (of ml_dtypes), float32 or float64.
        positive: what shall be near the anchor, of the same shape.
        negative: what shall be further away, of the same shape.
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        reduction: "none" returns one loss per triplet; "sum" their sum; "mean" the sum divided by their number, at
            least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        upstream: gradient of your objective with respect to the returned loss: a number, or the shape of the loss with
            reduction="none"; None for 1.

    Returns:
        * The loss, shape (triplets,), or a scalar after a reduction; float32, or float64 if an argument is float64. It
          is 0 without a triplet. A NaN or inf in a row makes the loss of this triplet NaN.
        * The gradients of sum(upstream * loss) with respect to anchor, positive and negative, each in the shape and
          type of its argument.

    Raises:
        ShapeError: an argument has the wrong rank, or not the shape of the anchor; or `upstream` has a wrong shape.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        OptionError: `reduction` is unknown, `margin` is negative or not finite, or `denominator` is not positive or is
            given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import cosine_triplet_and_grad
        >>> anchor, near, far = np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
        >>> loss, (to_anchor, to_positive, to_negative) = cosine_triplet_and_grad(anchor, near, far)
        >>> to_anchor.round(4)  # the direction of far, minus that of near, across the anchor
        array([[ 0. , -0.2]])

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    vectors = _read(anchor, positive, negative)
    _check_options(margin, reduction, denominator)
    with np.errstate(invalid="ignore", over="ignore"):
        losses = formula.triplet_losses(XP, [vector for vector, _ in vectors], float(margin))
        weights = read_upstream(upstream, losses.shape if reduction == "none" else ()).astype(losses.dtype)
        weights = weights * losses.dtype.type(1 / _divisor(losses, reduction, denominator))
        slopes = np.where(losses == 0, 0, weights).astype(losses.dtype)[:, None]
        (a, of_anchor), (p, of_positive), (n, of_negative) = (_direction(vector) for vector, _ in vectors)
        gradients = of_anchor((n - p) * slopes), of_positive(-a * slopes), of_negative(a * slopes)
    kinds = (kind for _, kind in vectors)
    to_anchor, to_positive, to_negative = map(as_type, gradients, kinds)
    return _reduce(losses, reduction, denominator), (to_anchor, to_positive, to_negative)


def _read(anchor: Any, positive: Any, negative: Any) -> list[tuple[np.ndarray, np.dtype[Any]]]:
    """The arguments in one type, each with its original one."""
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    read = [read_floats(name, values) for name, values in given.items()]
    contract.check_same_shapes(**{name: values.shape for name, (values, _) in zip(given, read, strict=True)})
    computed_in = np.result_type(*(values for values, _ in read))
    return [(values.astype(computed_in, copy=False), kind) for values, kind in read]


def _check_options(margin: float, reduction: PointReduction, denominator: float | None) -> None:
    contract.check_margin(margin)
    contract.check_pair_reduction(reduction, denominator)


def _divisor(losses: np.ndarray, reduction: PointReduction, denominator: float | None) -> float:
    return max(losses.shape[0], 1) if reduction == "mean" else denominator or 1


def _reduce(losses: np.ndarray, reduction: PointReduction, denominator: float | None) -> Any:
    if reduction == "none":
        return losses
    return losses.sum(dtype=losses.dtype) / losses.dtype.type(_divisor(losses, reduction, denominator))


def _direction(points: np.ndarray) -> tuple[np.ndarray, Any]:
    """Points of length 1, and what brings a gradient with respect to them back to the points."""
    unit = formula.directions(XP, points)
    largest = np.abs(points).max(axis=1, keepdims=True)
    zeros = largest == 0
    scaled = points / np.where(zeros, 1, largest)
    length = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))

    def back(gradient: np.ndarray) -> np.ndarray:
        across = gradient - unit * (gradient * unit).sum(axis=1, keepdims=True)
        return np.where(zeros, points.dtype.type(0), across / np.where(zeros, 1, length) / np.where(zeros, 1, largest))

    return unit, back
