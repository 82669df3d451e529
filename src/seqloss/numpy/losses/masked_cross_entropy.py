"""Cross-entropy over the real steps of a padded batch, and its gradient, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.formulas import masked
from seqloss.formulas.masked import Steps
from seqloss.numpy.arrays import FloatArray, IntegerArray, Upstream
from seqloss.numpy.losses.floats import as_type, read_floats
from seqloss.numpy.losses.steps import Loss, Mask, read_optional, real_steps, step_upstream
from seqloss.numpy.namespace import XP


def masked_cross_entropy(
    logits: FloatArray,
    targets: IntegerArray,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> Loss:
    """Compute the cross-entropy of each step of padded sequences: train a tagger, a language model or a decoder.

        loss[n, t] = -sum_c q_c log p_c,        p = softmax(logits[n, t])
        q_c = (1 - label_smoothing) [c = targets[n, t]] + label_smoothing / classes

    A step is real if it lies within its row's length, its mask is not 0, and its target is not the padding; an argument
    that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, they get no weight
    by label smoothing, and nothing that stands there is used, not even NaN.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: the label of each step, integers, shape (batch, time).
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: label that pads `targets`, any integer of 32 bits, also one that is no class; None for no padding.
        label_smoothing: share of the label, from 0 to 1, that is spread evenly over all classes.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.

    Returns:
        The loss in nats, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 logits. A
        NaN or +inf in a real step, or only -inf, makes the loss of this step NaN. Without any real step every reduction
        is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: the label of a real step is not a class.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` or `label_smoothing` is no such number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_cross_entropy
        >>> logits = np.zeros((2, 3, 4))  # four equally probable classes
        >>> round(float(masked_cross_entropy(logits, [[1, 2, 3], [0, -1, -1]], padding=-1)), 4)  # log 4
        1.3863

    References:
        C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: Rethinking the Inception architecture for computer
            vision. CVPR 2016 (label smoothing).
    """
    losses, steps, _ = _losses(logits, targets, lengths, mask, padding, label_smoothing, reduction, denominator)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)


def masked_cross_entropy_and_grad(
    logits: FloatArray,
    targets: IntegerArray,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: float | None = None,
    upstream: Upstream | None = None,
) -> tuple[Loss, npt.NDArray[np.floating]]:
    """Compute the cross-entropy of each step of padded sequences and its gradient, for training without a framework.

        loss[n, t] = -sum_c q_c log p_c,        p = softmax(logits[n, t])
        q_c = (1 - label_smoothing) [c = targets[n, t]] + label_smoothing / classes

        gradient[n, t, c] = p_c - q_c

    A step is real if it lies within its row's length, its mask is not 0, and its target is not the padding; an argument
    that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, they get no weight
    by label smoothing, and nothing that stands there is used, not even NaN.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: the label of each step, integers, shape (batch, time).
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: label that pads `targets`, any integer of 32 bits, also one that is no class; None for no padding.
        label_smoothing: share of the label, from 0 to 1, that is spread evenly over all classes.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (batch, time) with
            reduction="none"; None for 1.

    Returns:
        * The loss in nats, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 logits.
        * The gradient of sum(upstream * loss) with respect to the logits, shape (batch, time, classes), in the type of
          the logits.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: the label of a real step is not a class.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` or `label_smoothing` is no such number.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import masked_cross_entropy_and_grad
        >>> loss, gradient = masked_cross_entropy_and_grad(np.zeros((1, 2, 4)), [[1, -1]], padding=-1)
        >>> gradient[0].tolist()  # 1/4 - 1 for the label, then padding
        [[0.25, -0.75, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]

    References:
        C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: Rethinking the Inception architecture for computer
            vision. CVPR 2016 (label smoothing).
    """
    losses, steps, (x, labels, kind) = _losses(
        logits, targets, lengths, mask, padding, label_smoothing, reduction, denominator
    )
    upstream = step_upstream(losses, steps, reduction, denominator, upstream)
    with np.errstate(all="ignore"):
        gradient = _gradient(x, np.where(steps.real, labels, 0), steps, label_smoothing) * upstream[:, :, None]
    gradient = np.where(steps.real[:, :, None], gradient, 0)  # -0.0 in padding would be no defect, but looks like one
    return masked.reduce_steps(XP, losses, steps, reduction, denominator), as_type(gradient, kind)


def _losses(
    logits: Any, targets: Any, lengths: Any, mask: Any, padding: int | None, smoothing: float, reduction: Reduction,
    denominator: float | None,
) -> tuple[np.ndarray, Steps, tuple[np.ndarray, np.ndarray, np.dtype]]:  # fmt: skip
    contract.check_reduction(reduction, denominator)
    x, kind = read_floats("logits", logits, contract.STEPS_GIVEN_BY)
    labels = contract.as_step_array("targets", targets)
    lengths, mask = read_optional("lengths", lengths), read_optional("mask", mask)
    contract.check_classes(x.shape, labels, lengths, mask, padding, smoothing)
    with np.errstate(all="ignore"):  # what is not finite gives NaN or inf, as in every framework
        losses, steps = masked.cross_entropy(XP, x, labels, real_steps(x, lengths, mask), padding, smoothing)
    return losses, steps, (x, labels, kind)


def _gradient(x: np.ndarray, labels: np.ndarray, steps: Steps, smoothing: float) -> np.ndarray:
    """Softmax minus the smoothed label, (batch, time, classes)."""
    gradient = np.exp(XP.log_softmax(XP.without_padding(x, steps.real), 2))
    gradient -= x.dtype.type(smoothing / x.shape[2])
    chosen = np.take_along_axis(gradient, labels[:, :, None], 2) - x.dtype.type(1.0 - smoothing)
    np.put_along_axis(gradient, labels[:, :, None], chosen, 2)
    return gradient
