"""The states of a target, and the forward-backward recursion over any semiring.

A path can have blanks before, between and after the labels, so a target has 2L + 1 states (l′ in the paper):

    s         0      1     2      3     ...   2L - 1   2L
    class     blank  l_1   blank  l_2   ...   l_L      blank

A path that reads as the target stays in a state, moves on by one, or skips the blank between two labels that
differ (between equal labels the blank is what keeps them apart). Its states are determined by its classes, so
that adding up over state sequences counts each path once. Before the first frame it stands in state 0, which
stands for "nothing read yet"; after the last it must be in the last label or the last blank. Hence, with
y_t(s) what frame t gives the class of state s,

    α_0(s) = 1 at s = 0, else 0;     α_{t+1}(s) = (α_t(s) ⊕ α_t(s-1) ⊕ [may skip to s] α_t(s-2)) ⊗ y_t(s)
    β_T(s) = 1 if s is final;        β_t(s) = ⊕_{s' after s} y_t(s') ⊗ β_{t+1}(s')

α_t(s) is the sum over all ways to be in s after t frames, β_t(s) that over all ways from there to the end,
and ⊕_s α_t(s) ⊗ β_t(s) is the total, whichever t is looked at. (The paper counts the emission of s in both α
and β and divides by it; counting it once needs no division, which a probability of 0 would not survive. Its
α_1 is our α_1.)

References:
    Graves, Fernández, Gomez, Schmidhuber, Connectionist temporal classification, ICML 2006, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqloss.reference.semiring import Semiring


@dataclass(frozen=True)
class Lattice:
    """The states of one target.

    Attributes:
        classes: (states,), what each state emits (l′).
        may_skip: (states,), whether a path may come here from two states before.
        final: (states,), whether a path may end here.
    """

    classes: np.ndarray
    may_skip: np.ndarray
    final: np.ndarray

    def one_hot(self, classes: int) -> np.ndarray:
        """(states, classes): 1.0 at the class of each state; sums over states become sums over classes."""
        return (self.classes[:, None] == np.arange(classes)).astype(np.float64)


def make_lattice(target: Sequence[int] | np.ndarray, blank: int) -> Lattice:
    """Lay out the 2L + 1 states of a target of L labels.

    Args:
        target: (labels,) classes, none of them the blank.
        blank: the blank's class.

    Returns:
        the `Lattice`.

    Example:
        >>> make_lattice([3, 3, 1], blank=0).classes.tolist()
        [0, 3, 0, 3, 0, 1, 0]
        >>> np.flatnonzero(make_lattice([3, 3, 1], blank=0).may_skip).tolist()
        [5]
    """
    labels = np.asarray(target, np.int64)
    states = np.arange(2 * len(labels) + 1)
    classes = np.full(len(states), blank)
    classes[1::2] = labels
    may_skip = np.zeros(len(states), bool)
    may_skip[3::2] = labels[1:] != labels[:-1]
    return Lattice(classes, may_skip, final=states >= len(states) - 2)


def forward(emissions: np.ndarray, lattice: Lattice, ring: Semiring) -> np.ndarray:
    """Add up all ways from the start to each state (α).

    Args:
        emissions: (time, states), what each frame gives the class of each state, in the semiring's terms.
        lattice: the target's states.
        ring: what to add and multiply by.

    Returns:
        (time + 1, states): row t is α after t frames.

    Example:
        Count the paths of 3 frames that read as (1, 2):

        >>> from seqloss.reference.semiring import PROBABILITY
        >>> states = make_lattice([1, 2], blank=0)
        >>> forward(np.ones((3, 5)), states, PROBABILITY)[-1][states.final].sum()
        np.float64(5.0)
    """
    alphas = np.full((len(emissions) + 1, len(lattice.classes)), ring.zero, emissions.dtype)
    alphas[0, 0] = ring.one
    for t, emission in enumerate(emissions):
        near = ring.plus(alphas[t], shift_states(alphas[t], 1, ring.zero))
        skip = np.where(lattice.may_skip, shift_states(alphas[t], 2, ring.zero), ring.zero)
        alphas[t + 1] = ring.times(ring.plus(near, skip), emission)
    return alphas


def backward(emissions: np.ndarray, lattice: Lattice, ring: Semiring) -> np.ndarray:
    """Add up all ways from each state to the end (β); arguments as `forward`.

    Returns:
        (time + 1, states): row t is β before frame t; its entry [0, 0] is the sum over all paths.

    Example:
        >>> from seqloss.reference.semiring import PROBABILITY
        >>> backward(np.ones((3, 5)), make_lattice([1, 2], blank=0), PROBABILITY)[0, 0]
        np.float64(5.0)
    """
    betas = np.full((len(emissions) + 1, len(lattice.classes)), ring.zero, emissions.dtype)
    betas[-1, lattice.final] = ring.one
    for t in reversed(range(len(emissions))):
        ahead = ring.times(emissions[t], betas[t + 1])  # (states,), by the state that frame t leads to
        near = ring.plus(ahead, shift_states(ahead, -1, ring.zero))
        skip = shift_states(np.where(lattice.may_skip, ahead, ring.zero), -2, ring.zero)
        betas[t] = ring.plus(near, skip)
    return betas


def shift_states(values: np.ndarray, by: int, fill: float) -> np.ndarray:
    """Move values (states,) to higher states, or lower ones for a negative `by`; what comes in is `fill`.

    Example:
        >>> shift_states(np.array([1.0, 2.0, 3.0]), -1, 0.0)
        array([2., 3., 0.])
    """
    moved = np.full_like(values, fill)
    if by > 0:
        moved[by:] = values[:-by]
    else:
        moved[:by] = values[-by:]
    return moved
