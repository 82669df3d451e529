"""The best path, and the choice among equal paths.

The recursion of `lattice` over the max-plus semiring: β_t(s) is then the score of the best way on from state
s. A path is best when every step of it attains that maximum. Where several steps do, the contract wants the
label starts that are lexicographically earliest, and then each label's span shortest. Both come of one rule:

    in each frame, among the steps that a best path may take, take the one to the furthest state.

The next label, if it is among them, starts now: no earlier start exists. Otherwise, from a label, the choice
is between the blank after it and staying, and the blank ends the span here, as short as can be. It delays no
start: suppose that staying allowed a next start at u, and the blank only later ones. In frame u - 1 the
blank's path is in the blank, from where the next label may start at u as well, and the other path may go on
in u as the blank's does. Exchange their ends: the two new paths have the same scores in sum, so both are
best, and one of them takes the blank now and starts the next label at u.

Equal means equal in float64, each path added up from its last frame to its first, of the scores relative to
their frame's maximum (softmax takes the same from every path, but would round it differently).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seqloss import contract
from seqloss.reference.ctc import Row, infeasible_value, iterate_rows
from seqloss.reference.lattice import Lattice, backward
from seqloss.reference.scores import as_logits, log_softmax
from seqloss.reference.semiring import MAX


@dataclass(frozen=True)
class Alignment:
    """The best path of each row. Padding, and rows without a path, are -1 (scores: 0).

    Attributes:
        classes: (batch, time) int64, the class of each frame.
        first: (batch, labels) int64, each label's first frame.
        last: (batch, labels) int64, each label's last frame.
        scores: (batch, labels), log probability of each label's frames, nats.
        total: (batch,), log probability of the path; -inf without one, NaN in a non-finite row.

    Example:
        >>> import numpy as np
        >>> best = ctc_align(np.zeros((1, 4, 3)), [[1, 2]])
        >>> best.classes.tolist(), float(best.total[0].round(4))
        ([[1, 2, 0, 0]], -4.3944)
    """

    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    total: np.ndarray


def ctc_align(
    logits: ArrayLike,
    targets: ArrayLike,
    logit_lengths: ArrayLike | None = None,
    target_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: contract.Infeasible = "inf",
) -> Alignment:
    """Forced alignment: the most probable path that collapses to the target.

    argmax_{π ∈ B⁻¹(l)} Σ_t log y_t(π_t); among equals the label starts that are lexicographically earliest,
    then each label's span shortest.

    Args:
        logits: (batch, time, classes) floats: scores before softmax, or log-probabilities with `normalize=False`.
        targets: (batch, labels) integers, or concatenated labels.
        logit_lengths: (batch,) frames in use; None for all.
        target_lengths: (batch,) labels in use; None for all.
        blank: class of the blank; negative counts from the end.
        normalize: apply softmax.
        infeasible: for rows that no path fits: "inf" (total -inf), "zero" (total 0) or "raise".

    Returns:
        the `Alignment`.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than its axis.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        OptionError: `infeasible` is unknown.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.

    Example:
        >>> best = ctc_align(np.zeros((1, 4, 3)), [[1, 2]])
        >>> best.classes.tolist(), best.first.tolist(), best.last.tolist()
        ([[1, 2, 0, 0]], [[0, 1]], [[0, 1]])
    """
    contract.check_options(infeasible, "none", None)
    logits = as_logits(logits)
    batch = contract.validate(logits.shape, targets, logit_lengths, target_lengths, blank=blank)
    found = _empty_alignment(logits, batch)
    for row in iterate_rows(logits, batch, normalize):
        n, labels = row.number, slice(0, len(row.target))
        if row.scores is None:
            found.total[n], found.scores[n, labels] = np.nan, np.nan
            continue
        states = best_states(_relative(row.scores) if normalize else row.scores, row.lattice)
        if states is None:
            found.total[n] = infeasible_value(n, batch, infeasible, -np.inf)
        else:
            _store_path(found, row, states, log_softmax(row.scores) if normalize else row.scores)
    return found


def best_states(scores: np.ndarray, lattice: Lattice) -> list[int] | None:
    """The best path as one state per frame, by the tie rule; None when no path fits.

    Args:
        scores: (time, classes); any constant may be added to a frame.
        lattice: the target's states.

    Returns:
        states, one per frame, or None.

    Example:
        >>> from seqloss.reference.lattice import make_lattice
        >>> best_states(np.zeros((4, 3)), make_lattice([1, 2], 0))
        [1, 3, 4, 4]
    """
    emissions = scores[:, lattice.classes]  # (time, states)
    betas = backward(emissions, lattice, MAX)  # (time + 1, states)
    if betas[0, 0] == -np.inf:
        return None
    path, state = [], 0
    for t in range(len(emissions)):
        state = max(_best_steps(t, state, emissions, betas, lattice))
        path.append(state)
    return path


def _best_steps(t: int, state: int, emissions: np.ndarray, betas: np.ndarray, lattice: Lattice) -> Iterator[int]:
    """The states that a best path may go to from this one, in frame t."""
    for to in range(state, min(state + 3, len(lattice.classes))):
        allowed = to < state + 2 or lattice.may_skip[to]
        if allowed and emissions[t, to] + betas[t + 1, to] == betas[t, state]:
            yield to


def _relative(scores: np.ndarray) -> np.ndarray:
    return scores - scores.max(axis=1, keepdims=True)


def _empty_alignment(logits: np.ndarray, batch: contract.Batch) -> Alignment:
    """An alignment without paths."""
    shape = batch.targets.shape  # (batch, labels)
    return Alignment(
        classes=np.full(logits.shape[:2], -1),
        first=np.full(shape, -1),
        last=np.full(shape, -1),
        scores=np.zeros(shape, logits.dtype),
        total=np.zeros(len(logits), logits.dtype),
    )


def _store_path(found: Alignment, row: Row, states: list[int], log_probs: np.ndarray) -> None:
    """Store the path of one row."""
    n, path = row.number, np.array(states, np.int64)
    chosen = row.lattice.classes[path]  # (time,)
    steps = log_probs[np.arange(len(path)), chosen]  # (time,)
    found.classes[n, : len(path)] = chosen
    found.total[n] = math.fsum(steps)
    for label in range(len(row.target)):
        frames = np.flatnonzero(path == 2 * label + 1)
        found.first[n, label], found.last[n, label] = frames[0], frames[-1]
        found.scores[n, label] = math.fsum(steps[frames])
