"""Losses and gradients.

The barriers are for the compiler. Without them it computes small arrays again for each entry of large ones; and XLA for
CUDA (of JAX 0.10.2) makes one Triton kernel of a sum over few labels and what it is divided by, which it then refuses.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.contract import SMALLEST
from seqloss.formulas.ctc.emissions import PreparedTargets, has_frame_above_one, prepare_targets
from seqloss.jax.ctc.accelerator import by_class, total, walk
from seqloss.jax.ctc.accelerator import scores as frames
from seqloss.jax.ctc.accelerator.scores import Scores
from seqloss.jax.ctc.accelerator.walk import Sums
from seqloss.jax.namespace import XP


def losses_and_grads(
    logits: jax.Array,
    targets: jax.Array,
    logit_lengths: jax.Array,
    target_lengths: jax.Array,
    weights: jax.Array,
    *,
    blank: int,
    normalize: bool,
    softmax: bool | None = None,
    raises: bool = False,
    rounding: float | None = None,
    gradient: bool = True,
    unroll: int = 1,
) -> tuple[jax.Array, ...]:
    """Each row's loss times its weight, and its gradient.

    Args:
        logits: float32 or float64 (batch, time, classes); at least one frame and one class.
        targets: int32 (batch, labels), at least one wide; logit_lengths, target_lengths: int32 (batch,).
        weights: (batch,), above 0.
        blank: from 0.
        normalize: as in the contract.
        softmax: whether the gradient is the softmax less the posterior, or minus the posterior; None for
            `normalize`, the only case for True.
        raises: a row that no path fits is NaN.
        rounding: a number answers rows of which a frame adds up to more than 1.001 with NaN, and is the slack for
            scores rounded to a half type, see `seqloss.contract.check_normalized`; None leaves them be.
        gradient: False leaves it out.
        unroll: frames in each turn of the loop.

    Returns:
        losses (batch,), inf where no path fits, NaN for a row that is non-finite or breaks the contract; gradients as
        logits, 0 where no path fits and past a row's length.
    """
    prepared = prepare_targets(XP, logits, targets, logit_lengths, target_lengths, blank)
    scores = lax.optimization_barrier(frames.read(logits, prepared, blank, normalize))
    sums = walk.run(scores, prepared, unroll)
    loss = total.losses(scores, sums, prepared, blank, normalize)
    broken = scores.non_finite | prepared.refused  # (batch,)
    if rounding is not None:
        broken = broken | has_frame_above_one(XP, logits, prepared, rounding)
    if raises:
        broken = broken | (loss == jnp.inf)
    loss = jnp.where(broken, jnp.nan, loss)
    if not gradient:
        return (loss * weights,)
    factor = jnp.where(broken, jnp.nan, jnp.where(loss < jnp.inf, weights, 0.0))
    factor = jnp.where(prepared.used, factor[:, None], 0.0)[:, :, None]  # (batch, time, 1)
    softmax = normalize if softmax is None else softmax
    return loss * weights, _gradient(logits, scores, prepared, sums, factor, blank, softmax)


def _gradient(
    logits: jax.Array,
    scores: Scores,
    prepared: PreparedTargets,
    sums: Sums,
    factor: jax.Array,
    blank: int,
    softmax: bool,
) -> jax.Array:
    """Small arrays, (batch, time, labels + 1), for what the target's classes need; then one write of everything."""
    classes = by_class.find(prepared, logits.shape[2], blank, logits.dtype)
    labels, blanks = walk.posteriors(scores, sums)
    posterior = jnp.concatenate([by_class.gathered(labels, classes.members), blanks[:, :, None]], 2)
    posterior = lax.optimization_barrier(posterior)
    distance = jnp.concatenate([scores.labels, scores.blank[:, :, None]], 2)
    probability = _probability(distance, scores) if softmax else jnp.zeros_like(distance)
    own = _times(_difference(probability, posterior, scores), factor)
    own, place, share, factor = lax.optimization_barrier((own, classes.place, _share(scores), factor))
    others = jnp.exp(logits - scores.top[:, :, None]) * share if softmax else jnp.zeros_like(logits)
    return by_class.spread(own, place, _times(others, factor))


def _difference(probability: jax.Array, posterior: jax.Array, scores: Scores) -> jax.Array:
    """What is given less the posterior; between their complements where that is more than half of its frame's sum."""
    others = scores.others[:, :, None]
    most = 2.0 * posterior > jnp.sum(posterior, 2, keepdims=True)  # for one class at most
    rest = jnp.sum(jnp.where(most, 0.0, posterior), 2, keepdims=True)
    whole = rest + jnp.sum(jnp.where(most, posterior, 0.0), 2, keepdims=True)
    most, rest, whole = lax.optimization_barrier((most, rest, whole))
    other = jnp.where(probability > 0.5, others / (1.0 + others), 1.0 - probability)
    return jnp.where(most, rest / whole - other, probability - posterior / whole)


def _probability(distance: jax.Array, scores: Scores) -> jax.Array:
    """The softmax, from each score less its frame's largest."""
    return _flushed(jnp.exp(distance) * _share(scores))


def _share(scores: Scores) -> jax.Array:
    """The softmax of each frame's largest, (batch, time, 1)."""
    return 1.0 / (1.0 + scores.others[:, :, None])


def _times(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Entries by what their row counts, exactly 0 where that is 0, whatever they hold."""
    return jnp.where(factor == 0.0, 0.0, _flushed(x) * factor)


def _flushed(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) < SMALLEST, 0.0, x)
