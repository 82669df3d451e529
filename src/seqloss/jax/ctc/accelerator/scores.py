"""The scores: each frame's largest, what the other classes weigh beside it, and what the target's classes are worth.

With normalize=True every class of a frame is looked at here, and once more where the gradient is written. A maximum
says it all of a bad frame: it is NaN for a NaN, +inf for +inf, -inf where nothing is open. No argmax is needed: the
classes that reach the maximum weigh 1 each, and which of them counts as the best is free, see `total.main_path`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqloss.contract import MASKED
from seqloss.formulas.ctc.emissions import PreparedTargets
from seqloss.jax.ctc.accelerator.gather import picked


class Scores(NamedTuple):
    """Each frame relative to its largest score. What a frame that is not in use, or bad, holds here is anything.

    Attributes:
        top: the largest score that is read, (batch, time); 0 where all are masked.
        others: the sum of exp(score - top) over all classes but one that reaches top, (batch, time); 0 without softmax.
        certain: log p(top), (batch, time); 0 in frames not in use.
        labels: score - top of the target's labels, (batch, time, labels); -inf where closed or not in use.
        blank: the same of the blank, (batch, time); 0 in frames not in use, which a path crosses on it.
        non_finite: bool (batch,), rows with NaN, +inf or nothing but -inf in a frame in use.
    """

    top: jax.Array
    others: jax.Array
    certain: jax.Array
    labels: jax.Array
    blank: jax.Array
    non_finite: jax.Array


def read(logits: jax.Array, prepared: PreparedTargets, blank: int, normalize: bool) -> Scores:
    """Look at every class, or with normalize=False at those of blank and target."""
    at_labels = picked(logits, prepared.labels[:, None, :], 2)
    at_blank = logits[:, :, blank]
    if normalize:
        top = jnp.max(logits, 2)
        bad = ~jnp.isfinite(top)
        distance = logits - top[:, :, None]
        ties = jnp.sum(distance == 0.0, 2, dtype=jnp.int32) - 1
        others = jnp.sum(jnp.where(distance == 0.0, 0.0, jnp.exp(distance)), 2) + ties.astype(logits.dtype)
        certain = -jnp.log1p(others)
    else:
        top = jnp.maximum(at_blank, jnp.max(jnp.where(prepared.inside[:, None, :], at_labels, -jnp.inf), 2))
        bad = jnp.isnan(top) | (top == jnp.inf)
        top = jnp.where(top < -MASKED, 0.0, top)
        others, certain = jnp.zeros_like(top), top
    closed = ~(prepared.used[:, :, None] & prepared.inside[:, None, :])
    labels, from_blank = at_labels - top[:, :, None], at_blank - top
    return Scores(
        top,
        others,
        jnp.where(prepared.used, certain, 0.0),
        jnp.where(closed | ~(labels >= -MASKED), -jnp.inf, labels),
        jnp.where(prepared.used, jnp.where(from_blank >= -MASKED, from_blank, -jnp.inf), 0.0),
        jnp.any(prepared.used & bad, 1),
    )
