"""Precision of small losses: the probability of failure as a sum, instead of 1 minus the probability of the target.

For a confident and correct model, P = 1 - δ with δ of 1e-6 or 1e-15. Loss -log(1 - δ) and gradient y - γ are then
differences of numbers that agree in most of their digits. But δ is the probability of any other label sequence, and a
sum of positive terms: every other path fails in exactly one frame, the first whose class has no transition from the
state of the path, or at the end, in a state that is not final.
With

    n_t(s)   the probability that frame t emits a class without transition from state s     ("leak")
    φ_t(s)   the probability to fail from frame t on, when in state s before it             ("fails")

the paper's backward recursion turns into one for its complement (φ = 1 - β, with the paper's β for
probabilities):

    φ_t(s) = n_t(s) + Σ_{s' after s} y_t(s') φ_{t+1}(s'),      φ_T(s) = 0 if s is final, else 1
    δ = φ_0(start)

The gradient needs no difference of nearly equal numbers either. Write y_t(k) as P(k, fits) + P(k, fails),
and γ_t(k) = P(k, fits) / (1 - δ), so that P(k, fits) = γ_t(k) - γ_t(k) δ:

    y_t(k) - γ_t(k) = P(frame t emits k, and the path fails) - γ_t(k) δ = δ (P(k | fails) - P(k | fits)).

A path with class k in frame t fails before this frame, in it, or later from a state of class k. Each term is a sum of
products of positive numbers, so the relative precision is kept.

If δ is not small, `ctc` uses the recursion in logs, which does not underflow.
"""

from __future__ import annotations

import numpy as np

from seqloss.reference.lattice import Lattice, forward, shift_states
from seqloss.reference.semiring import PROBABILITY


def fails_after(probs: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Probability to fail in any later frame, by state (φ).

    Args:
        probs: (time, classes), y; each frame sums to 1.
        lattice: the target's states.

    Returns:
        (time + 1, states); entry [0, 0] is δ, the probability that the path does not collapse to the target.

    Example:
        >>> from seqloss.reference.lattice import make_lattice
        >>> fails_after(np.full((2, 2), 0.5), make_lattice([1], 0))[0, 0]
        np.float64(0.25)
    """
    emissions = probs[:, lattice.classes]  # (time, states)
    leak = probs @ closed_classes(lattice, probs.shape[1]).T  # (time, states)
    fails = np.empty((len(probs) + 1, len(lattice.classes)), probs.dtype)
    fails[-1] = ~lattice.final
    for t in reversed(range(len(probs))):
        ahead = emissions[t] * fails[t + 1]
        skipping = np.where(lattice.may_skip, ahead, 0.0)
        fails[t] = leak[t] + ahead + shift_states(ahead, -1, 0.0) + shift_states(skipping, -2, 0.0)
    return fails


def emits_and_fails(probs: np.ndarray, lattice: Lattice, fails: np.ndarray) -> np.ndarray:
    """Probability that frame t emits class k and the whole path fails, (time, classes).

    Args:
        probs: (time, classes), y.
        lattice: the target's states.
        fails: (time + 1, states), from `fails_after`.

    Returns:
        (time, classes); each frame sums to δ.

    Example:
        With two frames and two classes, the only path that fails is two blanks:

        >>> from seqloss.reference.lattice import make_lattice
        >>> probs, states = np.full((2, 2), 0.5), make_lattice([1], 0)
        >>> emits_and_fails(probs, states, fails_after(probs, states)).tolist()
        [[0.25, 0.0], [0.25, 0.0]]
    """
    closed = closed_classes(lattice, probs.shape[1])  # (states, classes)
    reach = forward(probs[:, lattice.classes], lattice, PROBABILITY)  # (time + 1, states), α
    in_frame = reach[:-1] @ closed  # (time, classes): alive before the frame, and the class has no way on
    failed = np.cumsum((probs * in_frame).sum(axis=1))  # (time,), by the end of each frame
    before = np.concatenate([np.zeros(1, probs.dtype), failed])[: len(probs), None]  # (time, 1)
    later = (reach[1:] * fails[1:]) @ lattice.one_hot(probs.shape[1])  # (time, classes)
    return probs * (before + in_frame) + later


def closed_classes(lattice: Lattice, classes: int) -> np.ndarray:
    """Classes without a transition from each state, (states, classes): 1.0 for these, else 0.0.

    Example:
        >>> from seqloss.reference.lattice import make_lattice
        >>> closed_classes(make_lattice([2], 0), 3).tolist()  # blank, label 2, blank
        [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    """
    own, after = lattice.classes, lattice.classes[1:]
    states = np.arange(len(own))
    closed = np.ones((len(own), classes))
    closed[states, own] = 0.0
    closed[states[:-1], after] = 0.0
    skips = np.flatnonzero(lattice.may_skip)
    closed[skips - 2, own[skips]] = 0.0
    return closed
