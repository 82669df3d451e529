"""The digits of a small loss: add up what fails, instead of subtracting what fits from 1.

A sure and right model has P = 1 - δ with δ of 1e-6 or 1e-15, and loss -log(1 - δ) and gradient y - γ are then
differences of numbers that agree in most of their digits. But δ is a probability too, that of reading
anything but the target, and it is a sum of positive terms: every path fails in exactly one frame, the first
that emits a class for which the path's state has no way on, or else at the end, in a state that is not final.
With

    n_t(s)   the probability that frame t emits a class that state s has no way on for      ("leak")
    φ_t(s)   the probability to fail from frame t on, when in state s before it             ("fails")

the paper's backward recursion turns into one for its complement (φ = 1 - β, with the paper's β for
probabilities):

    φ_t(s) = n_t(s) + Σ_{s' after s} y_t(s') φ_{t+1}(s'),      φ_T(s) = 0 if s is final, else 1
    δ = φ_0(start)

and the gradient needs no difference of near-equal numbers either. Write y_t(k) as P(k, fits) + P(k, fails),
and γ_t(k) = P(k, fits) / (1 - δ), so that P(k, fits) = γ_t(k) - γ_t(k) δ:

    y_t(k) - γ_t(k) = P(frame t emits k, and the path fails) - γ_t(k) δ = δ (P(k | fails) - P(k | fits)).

Failing with class k in frame t means: failed before it, or failing in it, or in a state of class k after it
and failing later. Each is a sum of products of positive numbers; relative precision survives all of them.

When δ is not small there is nothing to rescue, and `ctc` uses the log recursion, which in turn never
underflows.
"""

from __future__ import annotations

import numpy as np

from seqloss.reference.lattice import Lattice, forward, shift_states
from seqloss.reference.semiring import PROBABILITY


def fails_after(probs: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Probability to fail from each frame on, by the state before it (φ).

    Args:
        probs: (time, classes), y, each frame adding up to 1.
        lattice: the target's states.

    Returns:
        (time + 1, states); entry [0, 0] is δ, the probability that the frames don't read as the target.

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
        (time, classes); each frame adds up to δ.

    Example:
        Two fair coins fail to show a 1 when both show the blank:

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
    """Which classes lead nowhere from each state, (states, classes): 1.0 for those, 0.0 for a way on.

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
