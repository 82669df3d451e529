"""The sums over paths, forward and backward in one scan.

The target l_1..l_L is read through blanks b[j] and labels a[j], j = 0..L, with b[j] after j labels and a[0] that is
never entered. A step enters each from the states before it, then emits:

    b'[j] = (b[j] + a[j]) p(blank)
    a'[j] = (a[j] + b[j-1] + a[j-1] where l_j differs from l_{j-1}) p(l_j)

Both need b[j] + a[j]: where label j + 1 may follow j at once, a[j+1] is entered from that sum besides itself, and where
it may not, from b[j] alone. So a step adds twice, and one pair is shifted by a label.

Backward sums obey the same recursion with time and labels reversed, so both are columns of one array: `batch` run
forward, `batch` more run backward. A backward column enters late, at its own last frame: until then every label is
closed and the blank is free, which leaves its start where it is. What is kept of each frame are the sums before it
emits: times the emission, forward times backward ones are the frame's posteriors, over the row's total.

States lie before rows, so that the shift is by whole rows of memory, and the four parts of a state (two values, two
exponents) in one array, so that a step is one kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.formulas.ctc.emissions import PreparedTargets
from seqloss.formulas.extended_exponent import NOTHING, Extended, choose
from seqloss.jax.ctc.accelerator import extended_exponent
from seqloss.jax.ctc.accelerator.extended_exponent import narrowed
from seqloss.jax.ctc.accelerator.scores import Scores
from seqloss.jax.namespace import XP


class States(NamedTuple):
    """Labels a[j] and blanks b[j] of one frame or of all: (..., places, rows)."""

    labels: Extended
    blanks: Extended


class Sums(NamedTuple):
    """What the scan found.

    Attributes:
        entered: sums of the paths up to each frame, before it emits: labels 1..L, (time, labels, batch), and blanks
            0..L, (time, labels + 1, batch).
        left: sums of the paths from each frame's end on, alike.
        total: the sum over all paths, (batch,).
    """

    entered: States
    left: States
    total: Extended


def run(scores: Scores, prepared: PreparedTargets, unroll: int) -> Sums:
    """Scan all frames, `unroll` of them at each turn of the loop."""
    batch, longest = prepared.labels.shape
    labels, blanks = over_time(scores)
    labels = jnp.concatenate([labels, labels[::-1, ::-1]], 2)
    labels = jnp.pad(labels, ((0, 0), (1, 0), (0, 0)), constant_values=-jnp.inf)
    blanks = jnp.concatenate([blanks, blanks[::-1]], 2)
    skip, kind = _skip(prepared.labels), labels.dtype

    def step(carry: jax.Array, emission: States) -> tuple[jax.Array, jax.Array]:
        entered = _enter(_parted(carry, kind), skip)
        return _stacked(States(*map(extended_exponent.multiply, entered, emission))), _stacked(entered)

    emissions = States(emission(labels), emission(blanks))
    last, kept = lax.scan(step, _stacked(_start(prepared, kind)), emissions, unroll=unroll)
    end = _enter(_parted(last, kind), skip).blanks
    total = Extended(end.value[longest, batch:], end.exponent[longest, batch:])
    entered, left = _parted(kept[..., :batch], kind), _parted(kept[::-1, :, ::-1, batch:], kind)
    return Sums(
        States(Extended(*(part[:, 1:] for part in entered.labels)), entered.blanks),
        States(
            Extended(*(part[:, :-1] for part in left.labels)), left.blanks
        ),  # place 0 of their own order is last here
        total,
    )


def over_time(scores: Scores) -> tuple[jax.Array, jax.Array]:
    """Of the labels (time, labels, batch), of the blank (time, 1, batch)."""
    return jnp.transpose(scores.labels, (1, 2, 0)), jnp.transpose(scores.blank)[:, None, :]


def emission(score: jax.Array) -> Extended:
    """What a state weighs in a frame, from its score less the frame's largest."""
    return extended_exponent.exp(score, score > -jnp.inf)


def posteriors(scores: Scores, sums: Sums) -> tuple[jax.Array, jax.Array]:
    """Of the labels, (batch, time, labels), and of the blank, (batch, time); not yet over their frame's own sum."""
    value, exponent = 1.0 / sums.total.value, jnp.where(extended_exponent.is_zero(sums.total), 0, sums.total.exponent)
    shares = []
    for entered, left, score in zip(sums.entered, sums.left, over_time(scores), strict=True):
        forward = extended_exponent.multiply(entered, emission(score))
        shares.append(narrowed(forward.value * value, left.value, forward.exponent + left.exponent - exponent))
    return jnp.transpose(shares[0], (2, 0, 1)), jnp.transpose(jnp.sum(shares[1], 1))


def _enter(states: States, skip: jax.Array) -> States:
    """The sums over what each state is entered from."""
    both = extended_exponent.add(states.blanks, states.labels)
    onward = choose(XP, skip, both, states.blanks)
    before = Extended(_shifted(onward.value, 1.0), _shifted(onward.exponent, NOTHING))
    return States(extended_exponent.add(states.labels, before), both)


def _shifted(x: jax.Array, first: float) -> jax.Array:
    """One place on, along the states."""
    return lax.pad(x, x.dtype.type(first), [(1, -1, 0), (0, 0, 0)])


def _skip(labels: jax.Array) -> jax.Array:
    """Whether label j + 1 may follow label j without a blank between, bool (labels + 1, 2 batch)."""
    rows = jnp.concatenate([labels, labels[:, ::-1]])
    return jnp.pad(jnp.transpose(rows[:, 1:] != rows[:, :-1]), ((1, 1), (0, 0)))


def _start(prepared: PreparedTargets, kind: jnp.dtype) -> States:
    """Before the first frame: on the first blank, and for backward columns on the one before their first label."""
    longest = prepared.labels.shape[1]
    first = jnp.concatenate([0 * prepared.lengths, longest - prepared.lengths])
    at = jnp.arange(longest + 1, dtype=jnp.int32)[:, None] == first
    exponent = jnp.where(at, 0, NOTHING)
    one = jnp.where(at, 1.0, 1.0).astype(kind)  # of `at`, so that under shard_map it varies as the lengths do
    return States(Extended(one, jnp.minimum(exponent, NOTHING)), Extended(one, exponent))


def _stacked(states: States) -> jax.Array:
    """All four parts as integers, (4, labels + 1, rows)."""
    values = [extended_exponent.bits(part.value) for part in states]
    return jnp.stack([*values, *(part.exponent.astype(values[0].dtype) for part in states)])


def _parted(stacked: jax.Array, kind: jnp.dtype) -> States:
    """(..., 4, labels + 1, rows) as it was."""
    label, blank, label_exponent, blank_exponent = (stacked[..., n, :, :] for n in range(4))
    return States(
        Extended(extended_exponent.from_bits(label, kind), label_exponent.astype(jnp.int32)),
        Extended(extended_exponent.from_bits(blank, kind), blank_exponent.astype(jnp.int32)),
    )
