"""Any losses of single steps, weighted by the step, and their gradient, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Reduction, StepWeight
from seqloss.errors import wrong_rank
from seqloss.formulas import masked
from seqloss.formulas.masked import Steps
from seqloss.numpy.arrays import IntegerArray, Upstream
from seqloss.numpy.losses.floats import as_type, read_floats
from seqloss.numpy.losses.steps import Loss, Mask, Numbers, read_optional, real_steps, step_upstream
from seqloss.numpy.namespace import XP


def time_weighted(
    per_step: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    weight: StepWeight = "sqrt",
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> Loss:
    """Weight the losses of single steps by their step: for models that may be unsure at the start of a sequence.

        loss[n, t] = w(s) per_step[n, t],        s = t - (first real step of row n) + 1

    The weight w is sqrt(s) ("sqrt"), s ("linear"), or exp(s - the row's last real step) ("exponential"), which is at
    most 1 and cannot overflow; or what a callable returns. Step 1 is the first real step of its own row, so that
    padding at the front changes nothing. Later positions all count, also those that are not real: time passes in a hole
    of a mask. Steps that are not real have loss 0 and gradient exactly 0, and nothing that stands there is used, not
    even NaN.

    Args:
        per_step: losses of single steps, shape (batch, time), for example of `masked_cross_entropy` with
            reduction="none"; float16, bfloat16 (of ml_dtypes), float32 or float64.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        weight: "sqrt", "linear", "exponential", or a callable. It gets the steps s, a floating array (batch, time),
            at least 1 also in padding, and returns their weights in a shape that broadcasts to (batch, time).
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), not by the sum of the weights; "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.

    Returns:
        The weighted loss, shape (batch, time), 0 in padding, or a scalar after a reduction; float32, or float64 for
        float64 losses. A NaN in a real step makes the loss of this step NaN.

    Raises:
        ShapeError: an argument, or what a callable returns, has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `weight` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import time_weighted
        >>> mask = [[True, True, True, True], [False, True, False, True]]
        >>> time_weighted(np.ones((2, 4)), mask=mask, weight="linear", reduction="none")
        array([[1., 2., 3., 4.],
               [0., 1., 0., 3.]])

    References:
        A. Jain, A. Singh, H. S. Koppula, S. Soh, A. Saxena: Recurrent neural networks for driver activity anticipation
            via sensory-fusion architecture. ICRA 2016 (the exponential weights).
    """
    losses, steps, _, _ = _weighted(per_step, lengths, mask, weight, reduction, denominator)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)


def time_weighted_and_grad(
    per_step: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    weight: StepWeight = "sqrt",
    reduction: Reduction = "mean",
    denominator: float | None = None,
    upstream: Upstream | None = None,
) -> tuple[Loss, npt.NDArray[np.floating]]:
    """Weight the losses of single steps by their step, and compute the gradient by these losses: the weights.

        loss[n, t] = w(s) per_step[n, t],        s = t - (first real step of row n) + 1

        gradient[n, t] = w(s)

    The weight w is sqrt(s) ("sqrt"), s ("linear"), or exp(s - the row's last real step) ("exponential"), which is at
    most 1 and cannot overflow; or what a callable returns. Step 1 is the first real step of its own row, so that
    padding at the front changes nothing. Later positions all count, also those that are not real: time passes in a hole
    of a mask. Steps that are not real have loss 0 and gradient exactly 0, and nothing that stands there is used, not
    even NaN.

    Args:
        per_step: losses of single steps, shape (batch, time), for example of `masked_cross_entropy` with
            reduction="none"; float16, bfloat16 (of ml_dtypes), float32 or float64.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        weight: "sqrt", "linear", "exponential", or a callable. It gets the steps s, a floating array (batch, time),
            at least 1 also in padding, and returns their weights in a shape that broadcasts to (batch, time).
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), not by the sum of the weights; "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and processes to get the gradient of one large batch.
        upstream: gradient of your objective with respect to the returned loss: a number, or shape (batch, time) with
            reduction="none"; None for 1.

    Returns:
        * The weighted loss, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 losses.
        * The gradient of sum(upstream * loss) with respect to `per_step`, in its shape and type.

    Raises:
        ShapeError: an argument, or what a callable returns, has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `weight` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import time_weighted_and_grad
        >>> loss, gradient = time_weighted_and_grad(np.ones((1, 4)), [3], weight="linear", reduction="sum")
        >>> gradient.tolist()
        [[1.0, 2.0, 3.0, 0.0]]

    References:
        A. Jain, A. Singh, H. S. Koppula, S. Soh, A. Saxena: Recurrent neural networks for driver activity anticipation
            via sensory-fusion architecture. ICRA 2016 (the exponential weights).
    """
    losses, steps, weights, kind = _weighted(per_step, lengths, mask, weight, reduction, denominator)
    rows = step_upstream(losses, steps, reduction, denominator, upstream)
    with np.errstate(all="ignore"):
        gradient = np.where(steps.real, rows * weights, 0).astype(losses.dtype)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator), as_type(gradient, kind)


def _weighted(
    per_step: Any, lengths: Any, mask: Any, weight: StepWeight, reduction: Reduction, denominator: float | None
) -> tuple[np.ndarray, Steps, np.ndarray, np.dtype]:
    contract.check_reduction(reduction, denominator)
    contract.check_step_weight(weight)
    x, kind = read_floats("per_step", per_step, contract.STEPS_GIVEN_BY)
    if x.ndim != 2:
        raise wrong_rank("per_step", x.shape, "(batch, time)")
    lengths, mask = read_optional("lengths", lengths), read_optional("mask", mask)
    contract.check_steps("per_step", x.shape, lengths, mask)
    steps = real_steps(x, lengths, mask)
    with np.errstate(all="ignore"):  # what is not finite gives NaN or inf, as in every framework
        weights = masked.step_weights(XP, x, steps, weight)
        return masked.weigh_steps(XP, x, steps, lambda _: weights).astype(x.dtype), steps, weights, kind
