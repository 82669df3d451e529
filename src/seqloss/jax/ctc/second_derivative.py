"""The second derivative of CTC: the product of the Hessian of the loss and a direction.

Second derivatives have both signs; extended-exponent numbers are positive. So the tangents of the *logarithms* of the
sums are computed beside the sums. The tangent of the logarithm of a sum is the mean of the tangents of its terms,
weighted by the share of each term. A share is in [0, 1], and is exact to a few roundings for any size of the sum:

    d log(x + y) = x / (x + y) d log x + y / (x + y) d log y,        d log(x p) = d log x + d log p

With d log P the tangent of the total, the tangent of a posterior γ is γ (d log alpha + d log beta - d log P). The
tangent of the softmax y is y (dx - sum y dx).
"""

from __future__ import annotations

import operator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.formulas.ctc import recursion
from seqloss.formulas.ctc.emissions import Frames, PreparedTargets, prepare_targets, read_frames
from seqloss.formulas.extended_exponent import NOTHING, Extended, add, choose, indicator, multiply, shifted
from seqloss.jax.namespace import XP as xp


@jax.custom_jvp
def _last_derivative(logits: jax.Array) -> jax.Array:
    return logits


@_last_derivative.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "ctc_loss has no third derivative: its Hessian is being differentiated; stop the gradient before that."
    )


@partial(jax.jit, static_argnums=(5, 6, 7))
def hessian_vector_product(
    logits: jax.Array,
    targets: jax.Array,
    logit_lengths: jax.Array,
    target_lengths: jax.Array,
    direction: jax.Array,
    blank: int,
    normalize: bool,
    softmax: bool,
) -> jax.Array:
    """Return the derivative of each row's gradient in a direction, (batch, time, classes).

    Raises:
        NotImplementedError: when it is differentiated with respect to the logits.
    """
    if not logits.size:
        return direction
    targets = jnp.pad(targets, ((0, 0), (0, int(targets.shape[1] == 0))))
    logits = _last_derivative(logits)
    prepared = prepare_targets(xp, logits, targets, logit_lengths, target_lengths, blank)
    frames = read_frames(xp, logits, prepared, blank, normalize)
    direction = jnp.where(prepared.used[:, :, None], direction, 0.0)
    change, share = _posterior_and_change(frames, prepared, direction, blank)
    result = -change
    if softmax:
        probability = jnp.exp(frames.distances) / (1.0 + frames.others)
        mean = jnp.sum(probability * direction, 2, keepdims=True)
        result = result + probability * (direction - mean)
    broken = frames.non_finite | prepared.refused
    result = jnp.where((prepared.used & (share > 0.0))[:, :, None], result, 0.0)
    return result * jnp.where((prepared.used & broken[:, None])[:, :, None], jnp.nan, 1.0)  # linear: NaN both ways


def _posterior_and_change(
    frames: Frames, prepared: PreparedTargets, direction: jax.Array, blank: int
) -> tuple[jax.Array, jax.Array]:
    """Return the tangent of the posteriors, (batch, time, classes); and (batch, 1), positive for a row with a path."""
    batch, longest = prepared.labels.shape
    forward = (jnp.arange(2 * batch) < batch)[:, None]
    skip = jnp.concatenate([recursion.may_skip(xp, prepared.labels), recursion.may_skip(xp, prepared.labels[:, ::-1])])
    start = jnp.concatenate([0 * prepared.lengths, longest - prepared.lengths])[:, None]

    def step(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        labels, blanks, d_labels, d_blanks = carry
        label_p, blank_p, d_label_p, d_blank_p = x
        previous, below, ahead = recursion.neighbours(xp, labels, blanks, skip)
        d_previous = jnp.pad(d_labels, ((0, 0), (1, 0)))
        sum_b, mean_b = _mix((blanks, d_blanks), (previous, d_previous))
        sum_a, mean_a = _mix((below, d_blanks[:, :-1]), (ahead, d_previous[:, :-1]), (labels, d_labels))
        new_b, new_a = multiply(xp, sum_b, blank_p), multiply(xp, sum_a, label_p)
        new_db, new_da = mean_b + d_blank_p, mean_a + d_label_p
        seen = (
            choose(xp, forward, new_a, sum_a), choose(xp, forward, new_b, sum_b),
            jnp.where(forward, new_da, mean_a), jnp.where(forward, new_db, mean_b),
        )  # fmt: skip
        return (new_a, new_b, new_da, new_db), seen

    xs = (
        recursion.over_time(xp, recursion.label_emissions(xp, frames, prepared), flip_last=True),
        recursion.over_time(xp, recursion.blank_emissions(xp, frames, blank), flip_last=False),
        recursion.turned(xp, xp.take(direction, prepared.labels), flip_last=True),
        recursion.turned(xp, direction[:, :, blank : blank + 1], flip_last=False),
    )
    nought = 0.0 * xs[0].value[0]  # (2 batch, labels)
    begin = indicator(xp, jnp.arange(longest + 1) == start, nought)
    carry = (Extended(nought, xp.as_int(nought) + NOTHING), begin, nought, 0.0 * begin.value)
    (labels, blanks, _, _), (seen_a, seen_b, d_a, d_b) = lax.scan(step, carry, xs)
    total = add(xp, Extended(*(part[batch:, -1] for part in blanks)), Extended(*(part[batch:, -1] for part in labels)))
    reference = jnp.where(total.value > 0.0, total.exponent, 0)
    share_a, share_b = (recursion.shares(xp, seen, batch, reference) for seen in (seen_a, seen_b))
    d_a, d_b = (_both_ways(part, batch) for part in (d_a, d_b))
    whole = jnp.sum(share_a, 2, keepdims=True) + jnp.sum(share_b, 2, keepdims=True)
    scale = jnp.where(whole > 0.0, 1.0 / jnp.where(whole > 0.0, whole, 1.0), 0.0)
    share_a, share_b = share_a * scale, share_b * scale
    mean = jnp.sum(share_a * d_a, 2, keepdims=True) + jnp.sum(share_b * d_b, 2, keepdims=True)
    change = xp.sum_by_class(share_a * (d_a - mean), prepared.labels, frames.distances.shape[2])
    at_blank = jnp.arange(frames.distances.shape[2]) == blank
    change = change + jnp.where(at_blank, jnp.sum(share_b * (d_b - mean), 2, keepdims=True), 0.0)
    return change, total.value[:, None]


def _mix(*terms: tuple[Extended, jax.Array]) -> tuple[Extended, jax.Array]:
    """Return the sum of extended-exponent numbers, and the mean of their tangents, weighted by their shares."""
    total = terms[0][0]
    for term, _ in terms[1:]:
        total = add(xp, total, term)
    some = total.value > 0.0
    scale = jnp.where(some, 1.0 / jnp.where(some, total.value, 1.0), 0.0)
    parts = [shifted(xp, term, total.exponent) * scale * change for term, change in terms]
    return total, reduce(operator.add, parts)


def _both_ways(x: jax.Array, batch: int) -> jax.Array:
    """Add the values of the forward and the backward rows: (time, 2 batch, n) to (batch, time, n)."""
    return jnp.transpose(x[:, :batch] + x[::-1, batch:, ::-1], (1, 0, 2))
