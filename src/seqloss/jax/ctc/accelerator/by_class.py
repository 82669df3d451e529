"""What the labels of one class have in common, without a race.

Two threads that add to one entry do so in either order, and a float's sum shows it. Here each class of a row has one
*leader*, the first label of that class; what belongs to its labels is added up by a product with a 0/1 matrix, in one
order; and the gradient is written class by class, each looking up where its leader stands. The only scatter fills that
table, with integers at places that are all different.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqloss.formulas.ctc.emissions import PreparedTargets
from seqloss.jax.ctc.accelerator.gather import picked


class Classes(NamedTuple):
    """The classes of a row's target.

    Attributes:
        members: 1 where a label belongs to the class that another leads, else 0: (batch, labels, labels).
        place: where each class' leader stands among the labels, `labels` for the blank, above for others; int32
            (batch, classes).
    """

    members: jax.Array
    place: jax.Array


def find(prepared: PreparedTargets, classes: int, blank: int, kind: jnp.dtype) -> Classes:
    labels, inside = prepared.labels, prepared.inside
    batch, longest = labels.shape
    place = jnp.arange(longest, dtype=jnp.int32)
    same = (labels[:, :, None] == labels[:, None, :]) & inside[:, :, None] & inside[:, None, :]
    first = jnp.min(jnp.where(same, place, longest), 2)  # (batch, labels)
    leads = first == place
    at = jnp.where(leads, labels, classes + place)  # past the axis, each at its own place, and dropped
    table = (0 * prepared.lengths + longest + 1)[:, None] + jnp.zeros((batch, classes), jnp.int32)
    row = jnp.arange(batch)[:, None]
    table = table.at[row, at].set(jnp.broadcast_to(place, at.shape), mode="drop", unique_indices=True)
    table = jnp.where(jnp.arange(classes) == blank, longest, table)
    return Classes((same & leads[:, None, :]).astype(kind), table)


def gathered(x: jax.Array, members: jax.Array) -> jax.Array:
    """What belongs to each leader's class, 0 at labels that lead none; as precise as x, (batch, time, labels)."""
    return jnp.einsum("ntl,nlk->ntk", x, members, precision=lax.Precision.HIGHEST)


def spread(x: jax.Array, place: jax.Array, elsewhere: jax.Array) -> jax.Array:
    """(batch, time, labels + 1) to (batch, time, classes): each class' own, and `elsewhere` for classes without one."""
    at = place[:, None, :]
    return jnp.where(at < x.shape[2], picked(x, jnp.minimum(at, x.shape[2] - 1), 2), elsewhere)
