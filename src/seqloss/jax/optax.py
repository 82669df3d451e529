"""optax's CTC, by its own signature."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss.errors import LengthError, wrong_rank
from seqloss.jax.arrays import host_value
from seqloss.jax.ctc import ctc_loss


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
        LengthError: paddings that are not 0.0 and then 1.0 (traced ones: the row's loss is NaN).
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
    frames = _lengths("logit_paddings", logit_paddings, np.shape(logits)[:2])
    counts = _lengths("label_paddings", label_paddings, np.shape(labels)[:2])
    return ctc_loss(logits, labels, frames, counts, blank=blank_id)


def _lengths(name: str, paddings: Any, shape: tuple[int, ...]) -> Any:
    """How many zeros each row begins with; -1, which is no length, for a traced row that is not zeros, then ones."""
    if np.shape(paddings) != shape:
        raise wrong_rank(name, np.shape(paddings), str(shape))
    known = host_value(paddings)
    xp, values = (jnp, jnp.asarray(paddings)) if known is None else (np, np.asarray(known))
    used = values == 0
    lengths = used.sum(axis=1)
    wrong = ((values != 0) & (values != 1)).any(axis=1) | (used != (xp.arange(shape[1]) < lengths[:, None])).any(axis=1)
    if known is not None and wrong.any():
        row = int(np.argmax(wrong))
        raise LengthError(
            f"{name}[{row}]: expected 0.0 for what is in use, then 1.0 for padding, found {values[row].tolist()}; "
            "padding goes to the right."
        )
    return xp.where(wrong, -1, lengths)
