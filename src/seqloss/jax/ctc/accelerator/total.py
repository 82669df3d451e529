"""The loss: the logarithm of the sum over all paths, to its own digits where it is small.

Scores are relative to their frame's largest, so the *main path*, that of each frame's best class, has weight 1. If it
reads as the target, the others' sum `rest` is what the loss is made of, and beside the 1 its digits are lost: so it is
added up apart. Every other path leaves the main one for a last time: at frame t it stands on another state, from frame
t + 1 on it goes with the main path at weight 1. So

    rest = sum_t sum_{s not the main state of t, but before that of t + 1} alpha_t(s)

with alpha the forward sums, all of them positive: rest is as precise as they are, and no sum is ever subtracted from.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from seqloss.contract import SMALLEST
from seqloss.formulas.ctc import recursion
from seqloss.formulas.ctc.emissions import PreparedTargets
from seqloss.formulas.ctc.recursion import MainPath
from seqloss.formulas.extended_exponent import Extended
from seqloss.jax.ctc.accelerator import extended_exponent
from seqloss.jax.ctc.accelerator.gather import picked
from seqloss.jax.ctc.accelerator.scores import Scores
from seqloss.jax.ctc.accelerator.walk import Sums, emission, over_time
from seqloss.jax.namespace import XP


def losses(scores: Scores, sums: Sums, prepared: PreparedTargets, blank: int, normalize: bool) -> jax.Array:
    """Each row's loss, (batch,); inf where no path fits."""
    main = main_path(scores, prepared, blank)
    near = main.spells & (sums.total.exponent <= 1)
    log_total = jnp.where(near, jnp.log1p(rest(scores, sums, prepared, main)), extended_exponent.log(sums.total))
    loss = -(_sum_over_time(scores.certain) + log_total) + 0.0
    return jnp.where(loss >= SMALLEST, loss, 0.0) if normalize else loss


def main_path(scores: Scores, prepared: PreparedTargets, blank: int) -> MainPath:
    """Of classes that tie the blank goes first, then the highest; -1 stands for a best class that the target lacks."""
    at_label = jnp.max(jnp.where(scores.labels == 0.0, prepared.labels[:, None, :], -1), 2)
    best = jnp.where(scores.blank == 0.0, blank, at_label)
    return recursion.main_path(XP, best[:, :, None], prepared, blank)


def rest(scores: Scores, sums: Sums, prepared: PreparedTargets, main: MainPath) -> jax.Array:
    """The sum over all paths but the main one, (batch,), where that one reads as the target and the sum is moderate."""
    count, on_label = main.count, main.on_label
    goes_on = jnp.pad(prepared.used[:, 1:], ((0, 0), (0, 1)))  # else what is ahead is the blank that ends the target
    ahead = jnp.where(goes_on, jnp.roll(count, -1, 1), prepared.lengths[:, None])
    to_label = goes_on & jnp.roll(on_label, -1, 1)
    skips = _at(prepared.labels, ahead - 1) != _at(prepared.labels, ahead - 2)
    labels, blanks = over_time(scores)
    terms = (
        (_place(sums.entered.blanks, blanks, ahead), ~to_label & (on_label | (count != ahead))),
        (_place(sums.entered.labels, labels, ahead - 1), (ahead > 0) & ~(on_label & (count == ahead))),
        (_place(sums.entered.blanks, blanks, ahead - 1), to_label & (on_label | (count != ahead - 1))),
        (
            _place(sums.entered.labels, labels, ahead - 2),
            to_label & (ahead > 1) & skips & ~(on_label & (count == ahead - 1)),
        ),
    )
    found = [jnp.where(open_ & prepared.used, _float(number), 0.0) for number, open_ in terms]
    return jnp.sum(found[0] + found[1] + found[2] + found[3], 1)


def _place(entered: Extended, score: jax.Array, place: jax.Array) -> Extended:
    """Forward sums after each frame has emitted, (batch, time), at a place of each frame's own."""
    at = jnp.transpose(place)[:, None, :]
    number = Extended(*(picked(part, jnp.clip(at, 0, part.shape[1] - 1), 1) for part in entered))
    score = picked(score, jnp.clip(at, 0, score.shape[1] - 1), 1)
    return Extended(*(jnp.transpose(part[:, 0]) for part in extended_exponent.multiply(number, emission(score))))


def _float(x: Extended) -> jax.Array:
    return extended_exponent.narrowed(x.value, jnp.ones_like(x.value), x.exponent)


def _at(labels: jax.Array, place: jax.Array) -> jax.Array:
    return picked(labels, jnp.clip(place, 0, labels.shape[1] - 1), 1)


def _sum_over_time(x: jax.Array) -> jax.Array:
    """The sum over (batch, time), right to a rounding or two however many frames.

    Upper digits in one unit have a sum that is exact in any order; what they leave is added up apart.

    References:
        S. M. Rump, T. Ogita, S. Oishi: Accurate floating-point summation, part I. SIAM J. Sci. Comput. 31(1), 2008.
    """
    largest = jnp.max(jnp.abs(x), 1, keepdims=True)
    power = jnp.exp2(jnp.ceil(jnp.log2(jnp.maximum(largest, SMALLEST)))) * 2.0 ** (math.ceil(math.log2(x.shape[1])) + 2)
    upper = (power + x) - power
    return jnp.sum(upper, 1) + jnp.sum(x - upper, 1)
