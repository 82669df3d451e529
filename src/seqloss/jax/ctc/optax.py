"""optax's CTC, by its own signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss.errors import LengthError, SeqLossError, ShapeError, wrong_rank
from seqloss.jax.arrays import host_value
from seqloss.jax.ctc.loss import ctc_loss

ARGUMENT_NAMES = {
    "give the true target_lengths": "give the true label_paddings",
    "targets": "labels",
    "blank:": "blank_id:",
}


def optax_ctc_loss(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> jax.Array:
    """Move a project over from `optax.ctc_loss` by one import line: the same arguments, the same losses.

    Where the two differ, this is the exact one: a row that no path fits costs inf and has no gradient (optax: about
    -log_epsilon, and a gradient), labels that are no class are refused, a loss is never negative, and float32
    gradients keep their digits on long inputs.

    Args:
        logits: scores before softmax, (batch, time, classes).
        logit_paddings: (batch, time), 0.0 for frames in use, then 1.0 for padding.
        labels: integers (batch, labels).
        label_paddings: (batch, labels), 0.0 for labels in use, then 1.0 for padding.
        blank_id: the blank's class.
        log_epsilon: optax's stand-in for log 0. Here zero is zero, and nothing depends on it.

    Returns:
        each row's loss in nats, (batch,).

    Raises:
        ShapeError: paddings of another shape than what they pad.
        LengthError: paddings that are not 0.0 and then 1.0. Traced ones are a length of -1 for the program that runs:
            an error on the CPU, a NaN loss elsewhere.
        as `seqloss.jax.ctc_loss`.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import optax_ctc_loss
        >>> labels, label_paddings = jnp.array([[1, 0]]), jnp.array([[0.0, 1.0]])
        >>> losses = optax_ctc_loss(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2)), labels, label_paddings)
        >>> round(float(losses[0]), 4)  # three of nine paths spell [1]: log 3
        1.0986
    """
    del log_epsilon
    frames = _lengths("logit_paddings", logit_paddings, "logits", logits, 3)
    counts = _lengths("label_paddings", label_paddings, "labels", labels, 2)
    with _optax_argument_names():
        return ctc_loss(logits, labels, frames, counts, blank=blank_id)


def _lengths(name: str, paddings: Any, padded: str, values: Any, rank: int) -> Any:
    """How many zeros each row begins with; -1, which is no length, for a traced row that is not zeros, then ones."""
    shapes = []
    for argument, array, axes in ((padded, values, rank), (name, paddings, 2)):
        try:
            shapes.append(np.shape(array))
        except ValueError:
            raise ShapeError(f"{argument}: found rows of uneven length; pad them to one length.") from None
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


@contextmanager
def _optax_argument_names() -> Iterator[None]:
    """An error of the contract, with the names that optax has for its arguments."""
    try:
        yield
    except SeqLossError as error:
        words = str(error)
        for ours, theirs in ARGUMENT_NAMES.items():
            words = words.replace(ours, theirs)
        raise type(error)(words) from None
