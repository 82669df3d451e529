"""A drop-in replacement for optax.ctc_loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from seqloss.contract import WordReplacements, rename_arguments
from seqloss.errors import MOVE_BLANK, LengthError, uneven_rows, wrong_rank
from seqloss.jax.arrays import FloatArray, IntegerArray, host_value
from seqloss.jax.ctc.loss import ctc_loss

Paddings: TypeAlias = ArrayLike | Sequence[Sequence[float]]
"""0.0 for entries in use, then 1.0 for padding: (batch, time) or (batch, labels)."""


ARGUMENT_NAMES = WordReplacements(
    (
        ("target_lengths", "label_paddings"),
        ("logit_lengths", "logit_paddings"),
        (MOVE_BLANK, MOVE_BLANK.replace("blank=...", "blank_id=...")),
        ("targets", "labels"),
        ("blank:", "blank_id:"),
    )
)
"""The names of optax for the contract's arguments."""


def optax_ctc_loss(
    logits: FloatArray,
    logit_paddings: Paddings,
    labels: IntegerArray,
    label_paddings: Paddings,
    *,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> jax.Array:
    """Replace `optax.ctc_loss` by changing one import: the same arguments and losses.

        loss = -log sum_{paths pi of labels} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    Where the results differ, this one is exact. A row without a path has loss inf and no gradient (optax: a loss of
    about -log_epsilon, with a gradient). Labels that are not a class raise an error. A loss is never negative. float32
    gradients keep their precision on long inputs.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64.
        logit_paddings: shape (batch, time), 0.0 for frames in use, then 1.0 for padding.
        labels: labels, integers, shape (batch, labels).
        label_paddings: shape (batch, labels), 0.0 for labels in use, then 1.0 for padding.
        blank_id: class index of the blank.
        log_epsilon: ignored. In optax it stands for log 0; here log 0 is -inf.

    Returns:
        The loss of each row in nats, shape (batch,); float32, or float64 for float64 logits.

    Raises:
        ShapeError: an argument has the wrong rank or size, or paddings do not have the shape of what they pad.
        DTypeError: an argument has an unsupported element type.
        LengthError: a row of paddings is not 0.0 followed by 1.0. If it is traced, its length counts as -1: an error on
            the CPU when the program runs, a NaN loss on other devices.
        LabelError: a label in use is not a class or is the blank, or `blank_id` is not a class.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import optax_ctc_loss
        >>> labels, label_paddings = jnp.array([[1, 0]]), jnp.array([[0.0, 1.0]])
        >>> losses = optax_ctc_loss(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2)), labels, label_paddings)
        >>> round(float(losses[0]), 4)  # three of nine paths leave [1]: log 3
        1.0986

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    del log_epsilon
    frames = _lengths("logit_paddings", logit_paddings, "logits", logits, 3)
    counts = _lengths("label_paddings", label_paddings, "labels", labels, 2)
    with rename_arguments(ARGUMENT_NAMES):
        return ctc_loss(logits, labels, frames, counts, blank=blank_id)


def _lengths(name: str, paddings: Any, padded: str, values: Any, rank: int) -> Any:
    """Return the number of leading zeros of each row; -1 for a traced row that is not zeros followed by ones."""
    shapes = []
    for argument, array, axes in ((padded, values, rank), (name, paddings, 2)):
        try:
            shapes.append(np.shape(array))
        except ValueError:
            raise uneven_rows(argument) from None
        if len(shapes[-1]) != axes:
            expected = "(batch, time, classes)" if axes == 3 else "two axes, (batch, ...)"
            raise wrong_rank(argument, shapes[-1], expected)
    shape = shapes[0][:2]
    if shapes[1] != shape:
        raise wrong_rank(name, shapes[1], f"{shape}, that of {padded}")
    known = host_value(paddings)
    xp, array = (jnp, jnp.asarray(paddings)) if known is None else (np, np.asarray(known))
    used = array == 0
    lengths = used.sum(axis=1)
    wrong = ((array != 0) & (array != 1)).any(axis=1) | (used != (xp.arange(shape[1]) < lengths[:, None])).any(axis=1)
    if known is not None and wrong.any():
        row = int(np.argmax(wrong))
        raise LengthError(
            f"{name}[{row}]: expected 0.0 for what is in use, then 1.0 for padding, found {array[row].tolist()}; "
            "padding goes to the right."
        )
    return xp.where(wrong, -1, lengths)
