"""The explicit check of a batch of JAX arrays."""

from __future__ import annotations

import seqloss.numpy as host
from seqloss.jax.arrays import FloatArray, IntegerArray, to_numpy
from seqloss.numpy import Report


def ctc_check(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Find the rows of a batch that cannot be trained on, with the reason for each.

    `ctc_loss` raises for the first invalid row only, or returns inf or NaN without a reason. This function checks all
    rows and gives the reason for each.

    On an accelerator, where `ctc_loss` does not check traced values, this function gives the reason for a NaN. It
    copies the arrays to the host.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64. Not traced: call this function outside jit.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`, which `ctc_loss` does not take
            on JAX.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: `blank` is not a class.
        LengthError: the target lengths of concatenated targets do not add up to the number of labels.
        TypeError: an argument is traced.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import ctc_check
        >>> report = ctc_check(jnp.zeros((2, 2, 4)), jnp.array([[1, 2], [1, 1]]))
        >>> report.counts
        {'infeasible': 1}
    """
    return host.ctc_check(
        *map(to_numpy, (logits, targets, logit_lengths, target_lengths)), blank=blank, normalize=normalize
    )
