"""Losses and gradients: what `seqloss.formulas.ctc.loss_and_grad` gives, in the fewest kernels."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqloss.contract import SMALLEST
from seqloss.formulas.emissions import Text, read_text
from seqloss.formulas.namespace import Namespace
from seqloss.jax.accelerator import by_class, total, walk
from seqloss.jax.accelerator import scores as frames
from seqloss.jax.accelerator.scores import Scores
from seqloss.jax.accelerator.walk import Sums
from seqloss.jax.namespace import JaxNamespace

XP: Namespace = JaxNamespace()


def loss_and_grad(
    logits: jax.Array,
    targets: jax.Array,
    logit_lengths: jax.Array,
    target_lengths: jax.Array,
    *,
    blank: int,
    normalize: bool,
    softmax: bool | None = None,
    rounding: float | None = None,
    gradient: bool = True,
    unroll: int = 1,
) -> tuple[jax.Array, jax.Array | None]:
    """Loss of each row, and its gradient.

    Args:
        logits: float32 or float64 (batch, time, classes); at least one frame and one class.
        targets: int32 (batch, labels), at least one wide; logit_lengths, target_lengths: int32 (batch,).
        blank: from 0.
        normalize: as in the contract.
        softmax: whether the gradient is the softmax less the posterior, or minus the posterior; None for
            `normalize`, the only case for True.
        rounding: a number answers rows of which a frame adds up to more than 1.001 with NaN, and is the slack for
            scores rounded to a half type, see `seqloss.contract.check_normalized`; None leaves them be.
        gradient: False gives None for it.
        unroll: frames in each turn of the loop.

    Returns:
        losses (batch,), inf where no path fits, NaN for a row that is poisoned or breaks the contract; gradients as
        logits, 0 where no path fits and past a row's length.
    """
    text = read_text(XP, logits, targets, logit_lengths, target_lengths, blank)
    scores = frames.read(logits, text, blank, normalize)
    sums = walk.run(scores, text, unroll)
    loss = total.losses(scores, sums, text, blank, normalize)
    broken = scores.poisoned | text.refused  # (batch,)
    if rounding is not None:
        broken = broken | frames.more_than_one(logits, text, rounding)
    loss = jnp.where(broken, jnp.nan, loss)
    if not gradient:
        return loss, None
    slope = _gradient(logits, scores, text, sums, blank, normalize if softmax is None else softmax)
    slope = jnp.where((text.used & (loss < jnp.inf)[:, None])[:, :, None], slope, 0.0)
    return loss, jnp.where((text.used & broken[:, None])[:, :, None], jnp.nan, slope)


def _gradient(logits: jax.Array, scores: Scores, text: Text, sums: Sums, blank: int, softmax: bool) -> jax.Array:
    """Small arrays, (batch, time, labels + 1), for what the target's classes need; then one write of everything."""
    classes = by_class.find(text, logits.shape[2], blank, logits.dtype)
    labels, blanks = walk.posteriors(scores, sums)
    posterior = jnp.concatenate([by_class.gathered(labels, classes.members), blanks[:, :, None]], 2)
    if not softmax:
        shares = 0.0 - posterior / jnp.sum(posterior, 2, keepdims=True)
        return by_class.spread(_flushed(shares), classes.place, jnp.zeros_like(logits))
    distance = jnp.concatenate([scores.labels, scores.blank[:, :, None]], 2)
    own = _flushed(_difference(_probability(distance, scores), posterior, scores))
    return by_class.spread(own, classes.place, _probability(logits - scores.top[:, :, None], scores))


def _difference(probability: jax.Array, posterior: jax.Array, scores: Scores) -> jax.Array:
    """softmax - posterior; between the complements where the posterior is more than half of its frame's sum."""
    others = scores.others[:, :, None]
    most = 2.0 * posterior > jnp.sum(posterior, 2, keepdims=True)  # for one class at most
    rest = jnp.sum(jnp.where(most, 0.0, posterior), 2, keepdims=True)
    whole = rest + jnp.sum(jnp.where(most, posterior, 0.0), 2, keepdims=True)
    other = jnp.where(probability > 0.5, others / (1.0 + others), 1.0 - probability)
    return jnp.where(most, rest / whole - other, probability - posterior / whole)


def _probability(distance: jax.Array, scores: Scores) -> jax.Array:
    """The softmax, from each score less its frame's largest."""
    return _flushed(jnp.exp(distance) / (1.0 + scores.others[:, :, None]))


def _flushed(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) < SMALLEST, 0.0, x)
