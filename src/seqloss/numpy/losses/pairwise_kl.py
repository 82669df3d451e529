"""The pairwise KL loss with a hinge, and its gradient, on NumPy arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import ClassReduction, Hinge, PointReduction
from seqloss.formulas import pairwise_kl as formula
from seqloss.numpy.arrays import Upstream, log_softmax_rounding
from seqloss.numpy.losses.floats import as_type, read_floats, read_upstream
from seqloss.numpy.losses.points import Labels, Points, read_labels
from seqloss.numpy.namespace import XP

ADVICE = " With from_logits=True the loss takes scores or log-probabilities."
"""How a row that holds no probabilities can be passed."""


def pairwise_kl_hinge(
    embeddings: Points,
    labels: Labels,
    *,
    margin: float = 1.0,
    from_logits: bool = True,
    class_reduction: ClassReduction = "sum",
    hinge: Hinge = "hard",
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> npt.NDArray[np.floating] | np.floating:
    """Pull distributions of the same label together, and push those of different labels apart, up to a margin.

        loss(i, j) = l(KL(p_i || p_j)) + l(KL(p_j || p_i)),        KL(p || q) = sum_c p(c) log(p(c) / q(c))

    with p_i = softmax(embeddings[i]), and

        l(KL) = KL                             if labels[i] equals labels[j]
        l(KL) = max(0, margin - KL)            otherwise, with hinge="hard"
        l(KL) = log(1 + exp(margin - KL))      otherwise, with hinge="softplus"

    Each pair of rows counts once, in both directions, so that the loss is symmetric. Nothing is clipped: from logits,
    log-softmax keeps the gradient of any class, however improbable. A probability of exactly 0 (a score of -inf) is
    exact too. Where p is 0, its term is 0. Where p has a class that q has not, KL is infinite: the loss is inf for
    equal labels and 0 for different ones, and this direction has no gradient. The entry 0 (or -inf) itself has the
    gradient 0, which is what a softmax before it would pass on.

    Args:
        embeddings: one distribution over classes for each row, shape (batch, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64: unnormalised scores (before softmax), or probabilities with
            from_logits=False.
        labels: any integers, shape (batch,). Rows with equal labels are the same, all others different.
        margin: the divergence, in nats, beyond which different rows are far enough apart; a finite number, 0 or more.
        from_logits: True applies log-softmax over the classes. False takes the embeddings as probabilities.
        class_reduction: "sum" is the divergence; "mean" divides it by the number of classes.
        hinge: "hard" or "softplus", see above.
        reduction: "none" returns the loss of each direction of each pair, shape (batch, batch): entry [i, j] is that of
            KL(p_i || p_j), and the diagonal is 0; "sum" their sum; "mean" the sum divided by the number of pairs, batch
            * (batch - 1) / 2, at least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True checks, with from_logits=False, that each row holds probabilities. False skips this check.

    Returns:
        The loss in nats, shape (batch, batch), or a scalar after a reduction; float32, or float64 for float64
        embeddings. A batch of 0 or 1 rows has no pair: the loss is 0. If all labels are equal, or all different, one of
        the two parts is empty. A NaN or +inf in a row, or only -inf, makes all pairs of this row NaN.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        NormalizationError: with from_logits=False, a row has entries outside [0, 1], or does not add up to 1.
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import pairwise_kl_hinge
        >>> embeddings = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> pairwise_kl_hinge(embeddings, [7, 7, 7], reduction="none").round(4)
        array([[0.    , 0.    , 1.5232],
               [0.    , 0.    , 1.5232],
               [1.5232, 1.5232, 0.    ]])
        >>> pairwise_kl_hinge(embeddings, [7, 7, 1], margin=2.0).round(4)  # two of three pairs are 0.4768 too near
        np.float64(0.6357)

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """
    options = Options(margin, from_logits, class_reduction, hinge, reduction, denominator)
    values, _ = read_rows(embeddings, options, validate)
    return _compute(values, read_labels(labels, values.shape[0]), options).loss


def pairwise_kl_hinge_and_grad(
    embeddings: Points,
    labels: Labels,
    *,
    margin: float = 1.0,
    from_logits: bool = True,
    class_reduction: ClassReduction = "sum",
    hinge: Hinge = "hard",
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
    upstream: Upstream | None = None,
) -> tuple[npt.NDArray[np.floating] | np.floating, npt.NDArray[np.floating]]:
    """Compute the pairwise KL loss and its gradient, for training without automatic differentiation.

        loss(i, j) = l(KL(p_i || p_j)) + l(KL(p_j || p_i)),        KL(p || q) = sum_c p(c) log(p(c) / q(c))

    with p_i = softmax(embeddings[i]), and

        l(KL) = KL                             if labels[i] equals labels[j]
        l(KL) = max(0, margin - KL)            otherwise, with hinge="hard"
        l(KL) = log(1 + exp(margin - KL))      otherwise, with hinge="softplus"

    Each pair of rows counts once, in both directions, so that the loss is symmetric. Nothing is clipped: from logits,
    log-softmax keeps the gradient of any class, however improbable. A probability of exactly 0 (a score of -inf) is
    exact too. Where p is 0, its term is 0. Where p has a class that q has not, KL is infinite: the loss is inf for
    equal labels and 0 for different ones, and this direction has no gradient. The entry 0 (or -inf) itself has the
    gradient 0, which is what a softmax before it would pass on.

    At the kink of the hard hinge the gradient is 0.

    Args:
        embeddings: one distribution over classes for each row, shape (batch, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64: unnormalised scores (before softmax), or probabilities with
            from_logits=False.
        labels: any integers, shape (batch,). Rows with equal labels are the same, all others different.
        margin: the divergence, in nats, beyond which different rows are far enough apart; a finite number, 0 or more.
        from_logits: True applies log-softmax over the classes. False takes the embeddings as probabilities.
        class_reduction: "sum" is the divergence; "mean" divides it by the number of classes.
        hinge: "hard" or "softplus", see above.
        reduction: "none" returns the loss of each direction of each pair, shape (batch, batch): entry [i, j] is that of
            KL(p_i || p_j), and the diagonal is 0; "sum" their sum; "mean" the sum divided by the number of pairs, batch
            * (batch - 1) / 2, at least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True checks, with from_logits=False, that each row holds probabilities. False skips this check.
        upstream: gradient of your objective with respect to the returned loss: a number, or the shape of the loss with
            reduction="none"; None for 1.

    Returns:
        * The loss in nats, shape (batch, batch), or a scalar after a reduction; float32, or float64 for float64
          embeddings. A batch of 0 or 1 rows has no pair: the loss is 0. If all labels are equal, or all different, one
          of the two parts is empty. A NaN or +inf in a row, or only -inf, makes all pairs of this row NaN.
        * The gradient of sum(upstream * loss) with respect to the embeddings, in their shape and type.

    Raises:
        ShapeError: an argument, or `upstream`, has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        NormalizationError: with from_logits=False, a row has entries outside [0, 1], or does not add up to 1.
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import pairwise_kl_hinge_and_grad
        >>> loss, gradient = pairwise_kl_hinge_and_grad(np.array([[2.0, 0.0], [0.0, 0.0]]), [7, 7])
        >>> loss.round(4)
        np.float64(0.7616)
        >>> gradient.round(4)
        array([[ 0.5908, -0.5908],
               [-0.8808,  0.8808]])

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """
    options = Options(margin, from_logits, class_reduction, hinge, reduction, denominator)
    values, kind = read_rows(embeddings, options, validate)
    result = _compute(values, read_labels(labels, values.shape[0]), options)
    asked = read_upstream(upstream, result.loss.shape).astype(values.dtype) * result.weight
    with np.errstate(invalid="ignore", over="ignore"):
        slopes = result.slopes * asked
        gradient = _from_logits(result.rows, slopes) if from_logits else _from_probabilities(result.rows, slopes)
    return result.loss, as_type(gradient, kind)


class Options(NamedTuple):
    """The options of a call, see `pairwise_kl_hinge`."""

    margin: float
    from_logits: bool
    class_reduction: ClassReduction
    hinge: Hinge
    reduction: PointReduction
    denominator: float | None

    def check(self) -> None:
        """Raise `OptionError` for one that is not valid."""
        contract.check_margin(self.margin)
        contract.check_option("class_reduction", self.class_reduction, ClassReduction)
        contract.check_option("hinge", self.hinge, Hinge)
        contract.check_pair_reduction(self.reduction, self.denominator)


class _Result(NamedTuple):
    """A loss, and what its gradient is made of.

    Attributes:
        loss: after the reduction.
        rows: the distributions.
        slopes: the derivative of each direction's loss with respect to the sum over the classes, (batch, batch).
        weight: of each direction in the reduced loss.
    """

    loss: Any
    rows: formula.Distributions
    slopes: np.ndarray
    weight: Any


def read_rows(embeddings: Points, options: Options, validate: bool) -> tuple[np.ndarray, np.dtype[Any]]:
    """Check everything but the labels; return float32 or float64 values, and the original type."""
    options.check()
    values, kind = read_floats("embeddings", embeddings)
    contract.check_points("embeddings", values.shape)
    if validate and not options.from_logits:
        contract.refuse_bad_probabilities("embeddings", values, 1, log_softmax_rounding(kind.name), ADVICE)
    return values, kind


def _compute(values: np.ndarray, labels: np.ndarray, options: Options) -> _Result:
    classes = values.shape[1] if options.class_reduction == "mean" else 1
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rows = formula.of_logits(XP, values) if options.from_logits else formula.of_probabilities(XP, values)
        kl, infinite = formula.divergences(XP, rows)
        kl = formula.never_negative(XP, kl) if options.from_logits else kl
        losses, pairs = formula.directed_losses(
            XP, kl / classes, infinite, labels, float(options.margin), soft=options.hinge == "softplus"
        )
        slopes = _slopes(kl / classes, infinite, labels, options) / classes
    weight = values.dtype.type(1 / (options.denominator or 1))
    if options.reduction == "mean":
        weight = values.dtype.type(1 / max(float(pairs[0, 0]), 1.0))
    loss = losses if options.reduction == "none" else losses.sum(dtype=losses.dtype) * weight
    return _Result(loss, rows, slopes, weight)


def _slopes(kl: np.ndarray, infinite: np.ndarray, labels: np.ndarray, options: Options) -> np.ndarray:
    below = kl.dtype.type(options.margin) - kl
    if options.hinge == "softplus":
        falling = np.exp(-np.logaddexp(0, -below))  # 1 / (1 + exp(-below)), without overflow
    else:
        falling = (~(below <= 0)).astype(kl.dtype)
    slopes = np.where(labels[:, None] == labels, kl.dtype.type(1), -falling)
    return np.where(infinite | np.eye(labels.shape[0], dtype=bool), kl.dtype.type(0), slopes)


def _from_logits(rows: formula.Distributions, slopes: np.ndarray) -> np.ndarray:
    """With l = log p: the gradient with respect to l, of which p times its sum goes into the softmax."""
    own = slopes.sum(axis=1, keepdims=True)
    from_probabilities = own * rows.logarithms - slopes @ rows.logarithms
    from_logarithms = own * rows.probabilities - slopes.T @ rows.probabilities
    total = from_logarithms + rows.probabilities * from_probabilities
    return total - rows.probabilities * total.sum(axis=1, keepdims=True)


def _from_probabilities(rows: formula.Distributions, slopes: np.ndarray) -> np.ndarray:
    own = slopes.sum(axis=1, keepdims=True)
    safe = np.where(rows.impossible, 1, rows.probabilities).astype(slopes.dtype)
    total = own * (rows.logarithms + 1) - slopes @ rows.logarithms - (slopes.T @ rows.probabilities) / safe
    return np.where(rows.impossible, slopes.dtype.type(0), total)
