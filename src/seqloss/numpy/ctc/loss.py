"""CTC on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.errors import ShapeError
from seqloss.numpy.arrays import checked, rounding, scores
from seqloss.numpy.ctc.rows import compute


def ctc_loss(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> np.ndarray:
    """Score label sequences under a network's output, without being told when: connectionist temporal classification.

    A path assigns a class to each frame; removing its adjacent repeats, then its blanks, leaves a label
    sequence. The loss of a target l is the negative log probability of all paths that leave it,

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    Args:
        logits: scores before softmax, (batch, time, classes), float16, bfloat16 (of ml_dtypes), float32 or float64, any
            strides. Log-probabilities give the same loss.
        targets: integers (batch, labels), padded with anything; or all labels one row after another, with
            `target_lengths`.
        logit_lengths: frames in use, integers (batch,); None for all. What lies past them is never read.
        target_lengths: labels in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: True takes the softmax. False takes the scores for log-probabilities as they stand; only
            the classes of blank and target are read.
        infeasible: for a row that no path of positive probability fits: "inf" (loss inf, gradient 0), "zero"
            (both 0) or "raise".
        reduction: "none" (batch,); "sum"; "mean" (each loss over its target length, then the batch's mean); "batch"
            (sum over batch size); "labels" (sum over all labels).
        denominator: with "sum", divide by this number.
        validate: look at labels, lengths and, with normalize=False, at the frames' sums. With False a row
            that breaks the contract gives NaN instead of an error.

    Returns:
        the loss in nats, (batch,) or a scalar; float32, or float64 for float64 logits.

    Raises:
        ShapeError, DTypeError: an argument's form.
        LabelError: a label or the blank that is no class; a blank inside a target.
        LengthError: a length below 0 or past its axis.
        NormalizationError: normalize=False, and a frame's probabilities add up to more than 1.001.
        InfeasibleError: infeasible="raise", and no path fits.
        OptionError: an unknown word for `infeasible` or `reduction`, or a `denominator` without "sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> logits = np.zeros((1, 2, 3))  # two frames, three classes, all alike
        >>> ctc_loss(logits, [[1]]).round(4)  # three of nine paths spell [1]: log 3
        array([1.0986])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    loss, _ = _ctc(
        logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, reduction, denominator, validate,
        gradient=False,
    )  # fmt: skip
    return loss


def ctc_loss_and_grad(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
    upstream: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`ctc_loss` and its gradient in one sweep, for training without an autograd or with one of your own.

    The gradient with respect to the logits is softmax - posterior, the posterior being the probability, given
    the target, that frame t emits class c; with normalize=False it is minus the posterior.

    Args: as `ctc_loss`, and
        upstream: the gradient of what you minimise with respect to the loss that is returned: a number, or (batch,)
            where nothing is reduced; None for 1.

    Returns:
        the loss, as `ctc_loss`; and the gradient of sum(upstream * loss), (batch, time, classes), in the
        logits' own type, exactly 0 past a row's length.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss_and_grad
        >>> loss, gradient = ctc_loss_and_grad(np.zeros((1, 2, 3)), [[1]])
        >>> gradient[0, 0].round(4)  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        array([ 0.    , -0.3333,  0.3333])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    loss, gradient = _ctc(
        logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, reduction, denominator, validate,
        gradient=True, upstream=upstream,
    )  # fmt: skip
    assert gradient is not None
    return loss, gradient


def _ctc(
    logits: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int, normalize: bool,
    infeasible: Infeasible, reduction: Reduction, denominator: float | None, validate: bool, *, gradient: bool,
    upstream: Any = None,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    contract.check_options(infeasible, reduction, denominator)
    values, kind = scores(logits)
    batch = checked(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=rounding(kind.name),
    )  # fmt: skip
    weights = contract.reduction_weights(reduction, batch.target_lengths, denominator).astype(values.dtype)
    asked = weights * _upstream(upstream, weights.shape if reduction == "none" else ()).astype(values.dtype)
    rows = compute(values, batch, normalize=normalize, infeasible=infeasible, gradient=gradient, weights=asked)
    loss = rows.losses
    if reduction != "none":
        loss = (loss * weights).sum(dtype=loss.dtype)
    if rows.gradient is None:
        return loss, None
    with np.errstate(over="ignore", under="ignore"):  # a half type holds less: inf and 0, as in every framework
        return loss, rows.gradient.astype(kind, copy=False)


def _upstream(upstream: Any, shape: tuple[int, ...]) -> np.ndarray:
    found = np.asarray(1.0 if upstream is None else upstream, np.float64)
    if found.shape not in ((), shape):
        raise ShapeError(f"upstream: expected a number or shape {shape}, the loss's, found {found.shape}.")
    return found
