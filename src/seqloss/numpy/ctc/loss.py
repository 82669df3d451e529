"""The CTC loss and its gradient on NumPy arrays."""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.errors import ShapeError
from seqloss.numpy.arrays import FloatArray, IntegerArray, Upstream, check_call, log_softmax_rounding, logits_to_numpy
from seqloss.numpy.ctc.rows import compute_rows

Reduced: TypeAlias = Literal["sum", "mean", "batch", "labels"]
"""The reductions that return a scalar."""


@overload
def ctc_loss(
    logits: FloatArray, targets: IntegerArray, logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True,
    infeasible: Infeasible = "inf", reduction: Literal["none"] = "none", denominator: float | None = None,
    validate: bool = True,
) -> npt.NDArray[np.floating]: ...  # fmt: skip


@overload
def ctc_loss(
    logits: FloatArray, targets: IntegerArray, logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True,
    infeasible: Infeasible = "inf", reduction: Reduced, denominator: float | None = None, validate: bool = True,
) -> np.floating: ...  # fmt: skip


def ctc_loss(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> npt.NDArray[np.floating] | np.floating:
    """Compute the CTC loss: score label sequences whose alignment with the frames is unknown.

    A path assigns one class to each frame. Merging its adjacent repeats and then removing its blanks leaves a label
    sequence. The loss of a target l is the negative log-likelihood of all paths that leave it:

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides. Log-probabilities give the same loss.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: "none" returns one loss per row; "sum" their sum; "mean" the mean over the batch of each loss divided
            by its target length (at least 1); "batch" the sum divided by the batch size; "labels" the sum divided by
            the number of all labels.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of rows or labels
            over all gradient accumulation steps and processes to get the gradient of one large batch. Where the
            framework takes the mean of M gradients, divide this number by M (docs/guides/big-batches.md).
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.

    Returns:
        The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 logits. A NaN
        or +inf among the scores that a row reads, or with normalize=True a frame of only -inf, makes the loss of this
        row NaN and leaves other rows unchanged.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> logits = np.zeros((1, 2, 3))  # two frames, three equally probable classes
        >>> ctc_loss(logits, [[1]]).round(4)  # three of nine paths leave [1]: log 3
        array([1.0986])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    loss, _ = _loss_and_grad(
        logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, reduction, denominator, validate,
        gradient=False,
    )  # fmt: skip
    return loss


@overload
def ctc_loss_and_grad(
    logits: FloatArray, targets: IntegerArray, logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True,
    infeasible: Infeasible = "inf", reduction: Literal["none"] = "none", denominator: float | None = None,
    validate: bool = True,
    upstream: Upstream | None = None,
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]: ...  # fmt: skip


@overload
def ctc_loss_and_grad(
    logits: FloatArray, targets: IntegerArray, logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True,
    infeasible: Infeasible = "inf", reduction: Reduced, denominator: float | None = None, validate: bool = True,
    upstream: Upstream | None = None,
) -> tuple[np.floating, npt.NDArray[np.floating]]: ...  # fmt: skip


def ctc_loss_and_grad(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
    upstream: Upstream | None = None,
) -> tuple[npt.NDArray[np.floating] | np.floating, npt.NDArray[np.floating]]:
    """Compute the CTC loss and its gradient, for training without an automatic differentiation framework.

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

        gradient[t, c] = p_t(c) - posterior[t, c]

    A path of the target l assigns one class to each frame and leaves l after its adjacent repeats are merged and its
    blanks removed. The posterior is the probability, given the target, that frame t has class c (see `ctc_posteriors`).

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides. Log-probabilities give the same loss.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read, and their gradient is 0.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read, and the gradient is minus the posterior.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: "none" returns one loss per row; "sum" their sum; "mean" the mean over the batch of each loss divided
            by its target length (at least 1); "batch" the sum divided by the batch size; "labels" the sum divided by
            the number of all labels.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of rows or labels
            over all gradient accumulation steps and processes to get the gradient of one large batch. Where the
            framework takes the mean of M gradients, divide this number by M (docs/guides/big-batches.md).
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (batch,) with
            reduction="none"; None for 1.

    Returns:
        * The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 logits.
        * The gradient of sum(upstream * loss) with respect to the logits, shape (batch, time, classes), in the type of
          the logits. It is exactly 0 past the length of a row and for a row without a path.

    Raises:
        ShapeError: an argument, or `upstream`, has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss_and_grad
        >>> loss, gradient = ctc_loss_and_grad(np.zeros((1, 2, 3)), [[1]])
        >>> loss.round(4)  # three of nine paths leave [1]: log 3
        array([1.0986])
        >>> gradient[0, 0].round(4)  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        array([ 0.    , -0.3333,  0.3333])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    loss, gradient = _loss_and_grad(
        logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, reduction, denominator, validate,
        gradient=True, upstream=upstream,
    )  # fmt: skip
    assert gradient is not None
    return loss, gradient


def _loss_and_grad(
    logits: FloatArray, targets: IntegerArray, logit_lengths: IntegerArray | None, target_lengths: IntegerArray | None,
    blank: int, normalize: bool, infeasible: Infeasible, reduction: Reduction, denominator: float | None,
    validate: bool, *, gradient: bool, upstream: Upstream | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    contract.check_options(infeasible, reduction, denominator)
    values, kind = logits_to_numpy(logits)
    batch = check_call(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=log_softmax_rounding(kind.name),
    )  # fmt: skip
    weights = contract.reduction_weights(reduction, batch.target_lengths, denominator).astype(values.dtype)
    asked = weights * _upstream_array(upstream, weights.shape if reduction == "none" else ()).astype(values.dtype)
    rows = compute_rows(values, batch, normalize=normalize, infeasible=infeasible, gradient=gradient, weights=asked)
    loss = rows.losses
    if reduction != "none":
        loss = (loss * weights).sum(dtype=loss.dtype)
    if rows.gradient is None:
        return loss, None
    with np.errstate(over="ignore", under="ignore"):  # a half type holds less: inf and 0, as in every framework
        return loss, rows.gradient.astype(kind, copy=False)


def _upstream_array(upstream: Upstream | None, shape: tuple[int, ...]) -> np.ndarray:
    found = contract.as_array("upstream", 1.0 if upstream is None else upstream).astype(np.float64)
    if found.shape not in ((), shape):
        raise ShapeError(f"upstream: expected a number or shape {shape}, the loss's, found {found.shape}.")
    return found
