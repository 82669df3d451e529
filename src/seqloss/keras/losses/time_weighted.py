"""Any losses of single steps, weighted by the step, by the frontend of Keras' backend."""

from __future__ import annotations

from seqloss.contract import Reduction, StepWeight
from seqloss.keras.arrays import BackendTensor, IntegerArray
from seqloss.keras.losses.arrays import Mask, Numbers, as_tensor, backend_function


def time_weighted(
    per_step: Numbers,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    weight: StepWeight = "sqrt",
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> BackendTensor:
    """Weight the losses of single steps by their step: for models that may be unsure at the start of a sequence.

        loss[n, t] = w(s) per_step[n, t],        s = t - (first real step of row n) + 1

    The weight w is sqrt(s) ("sqrt"), s ("linear"), or exp(s - the row's last real step) ("exponential"), which is at
    most 1 and cannot overflow; or what a callable returns. Step 1 is the first real step of its own row, so that
    padding at the front changes nothing. Later positions all count, also those that are not real: time passes in a hole
    of a mask. Steps that are not real have loss 0 and gradient exactly 0, and nothing that stands there is used, not
    even NaN.

    Values on a GPU, and values in `fit` on TensorFlow and JAX, are not checked. A row with an invalid length then has
    loss and gradient NaN.

    Args:
        per_step: losses of single steps, shape (batch, time), for example of `masked_cross_entropy` with
            reduction="none"; float16, bfloat16, float32 or
            float64.
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        weight: "sqrt", "linear", "exponential", or a callable. It gets the steps s, a floating tensor (batch, time),
            at least 1 also in padding, and returns their weights in a shape that broadcasts to (batch, time).
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), not by the sum of the weights; "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and devices to get the gradient of one large batch.

    Returns:
        The weighted loss, shape (batch, time), 0 in padding, or a scalar after a reduction; float32, or float64 for
        float64 losses. A NaN in a real step makes the loss of this step NaN.

    Raises:
        ShapeError: an argument, or what a callable returns, has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `weight` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from keras import ops
        >>> from seqloss.keras import time_weighted
        >>> mask = [[True, True, True, True], [False, True, False, True]]
        >>> weighted = time_weighted(np.ones((2, 4), "float32"), mask=mask, weight="linear", reduction="none")
        >>> ops.convert_to_numpy(weighted).tolist()
        [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 3.0]]

    References:
        A. Jain, A. Singh, H. S. Koppula, S. Soh, A. Saxena: Recurrent neural networks for driver activity anticipation
            via sensory-fusion architecture. ICRA 2016 (the exponential weights).
    """
    return backend_function("time_weighted")(
        as_tensor("per_step", per_step),
        lengths,
        mask=mask,
        weight=weight,
        reduction=reduction,
        denominator=denominator,
    )
