"""The loss, its second derivative and the best paths of a batch on the CPU: the entry points for the frontends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.contract import Batch
from seqloss.errors import OutOfMemoryError, not_enough_memory
from seqloss.kernels.ctc import align, checkpoints, exp_gradient, huge_rows, layout, second_derivative
from seqloss.kernels.ctc.rows import Path, compute_rows, compute_rows_extended
from seqloss.kernels.ctc.scratch import take_measuring_scratch, take_path_sums
from seqloss.kernels.numba import threads
from seqloss.kernels.numba.workspace import FLOAT, INTEGER, Workspace, allocate

IN_CACHE = 2**17
"""Exponentials that are computed before they are used."""

WORTH_A_THREAD = 200_000.0
"""Nanoseconds of estimated work per thread, below which a thread costs more than it saves."""


def loss_and_grad(
    logits: np.ndarray,
    batch: Batch,
    *,
    normalize: bool = True,
    softmax: bool | None = None,
    gradient: bool = True,
    out: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Loss, path and gradient of each row.

    Args:
        logits: float32 or float64 (batch, time, classes), any strides.
        batch: lengths and targets; an invalid row gets NaN.
        normalize: as in the contract.
        softmax: the gradient is softmax - posterior, or -posterior; None for the contract's, which is `normalize`. True
            needs `normalize`.
        gradient: compute the gradient too.
        out: contiguous, of the shape and type of logits: the gradient is written there; None for new memory.
        weights: (batch,), the factor of each row's gradient; None for 1.

    Returns:
        losses (batch,) of the logits' type; paths (batch,) int64, see `seqloss.kernels.ctc.rows.Path`; the
        gradient of each row's loss, as logits, or None. A row without a path has loss inf and gradient 0.
    """
    rows, time, classes = logits.shape
    softmax = normalize if softmax is None else softmax
    scores, steps = _flat_memory(logits)
    targets, logit_lengths, target_lengths = _contiguous_integers(batch)
    result = allocate(logits.size if gradient else 0, logits.dtype) if out is None else out.reshape(-1)
    losses, paths = allocate(rows, FLOAT), allocate(rows, INTEGER)
    weights = np.ones(rows, logits.dtype) if weights is None else weights.astype(logits.dtype, copy=False)
    frames, labels = _longest_row(batch, time)
    given = (
        scores, steps, time, classes, targets, logit_lengths, target_lengths, batch.blank, normalize, softmax, gradient,
    )  # fmt: skip
    kind, sizes = logits.dtype.char, (frames, labels, classes)

    def compute_fast(chosen: np.ndarray) -> None:
        with Workspace() as space:
            scratch = space.take_set(
                (kind, gradient),
                sizes,
                lambda: (
                    take_path_sums(space, layout.space_sizes(*sizes, gradient)),
                    *_take_row_scratch(space, kind, *sizes),
                ),
            )
            compute_rows(*given, chosen, losses, paths, result, weights, *scratch)

    def compute_extended(chosen: np.ndarray) -> None:
        with Workspace() as space:
            size = layout.extended_size(frames, labels, layout.most_slots(labels, classes), gradient)
            m, e = space.take("mantissas", size, FLOAT), space.take("binary exponents", size, INTEGER)
            totals = space.take("totals", 1, FLOAT)
            compute_rows_extended(
                *given, chosen, losses, paths, result, weights, m, e, totals, *_take_row_scratch(space, kind, *sizes)
            )

    if rows:
        shares, apart, costs = _divide_rows(batch, frames, classes, labels)
        if shares:
            threads.run_in_threads(compute_fast, shares)
        if apart.size:
            everything = (*given, losses, paths, result, weights)
            huge_rows.compute_huge_rows(apart, costs, everything, classes, frames, labels, gradient, losses, paths)
    left = np.flatnonzero((paths > Path.FAST) & (paths < Path.INFEASIBLE)) if paths.any() else paths[:0]
    if left.size:
        threads.run_in_threads(
            compute_extended, [share for share in np.array_split(left, threads.get_num_threads()) if share.size]
        )
    gradients = result.reshape(logits.shape) if gradient else None
    return losses.astype(logits.dtype), paths, gradients


def _take_row_scratch(space: Workspace, kind: str, frames: int, labels: int, classes: int) -> tuple[Any, ...]:
    """The arguments of `compute_rows` from `scratch` on, for rows with up to so many frames and labels."""
    return (
        take_measuring_scratch(space, np.dtype(kind), labels, classes),
        space.take(f"counted {kind}", classes, np.dtype(kind)),
        space.take("floats", layout.floats_size(frames, labels, classes), FLOAT),
        space.take("integers", layout.integers_size(labels, classes), INTEGER),
    )


@dataclass(frozen=True)
class BestPaths:
    """The best path of each row; -1 (scores: 0) past a row's lengths and in rows without a path.

    Attributes:
        classes: (batch, time) int64, the class of each frame.
        first, last: (batch, labels) int64, the first and the last frame of each label.
        scores: (batch, labels) float64, the log-probability of each label's frames; NaN in a non-finite row.
        totals: (batch,) float64, the log-probability of the path; -inf without a path, NaN in a non-finite row.
        paths: (batch,) int64, see `seqloss.kernels.ctc.rows.Path`.
    """

    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    totals: np.ndarray
    paths: np.ndarray


def best_paths(logits: np.ndarray, batch: Batch, *, normalize: bool = True, distance: int | None = None) -> BestPaths:
    """The best path of each row.

    Args:
        logits, batch, normalize: as for `loss_and_grad`.
        distance: frames between two checkpoints; None for the choice of `checkpoints.py`. No result depends on it.

    Raises:
        OutOfMemoryError: there is not enough memory for the checkpoints.
    """
    rows, time, classes = logits.shape
    scores = _as_writable(np.require(logits, requirements="C")).reshape(-1)
    targets, logit_lengths, target_lengths = _contiguous_integers(batch)
    found = BestPaths(
        np.full((rows, time), -1),
        np.full(targets.shape, -1),
        np.full(targets.shape, -1),
        np.zeros(targets.shape),
        allocate(rows, FLOAT),
        allocate(rows, INTEGER),
    )
    frames, labels = _longest_row(batch, time)
    distance = checkpoints.choose_distance(frames, labels) if distance is None else distance
    sizes = checkpoints.Sizes(frames, labels, classes, distance)

    def work(chosen: np.ndarray) -> None:
        with Workspace() as space:
            align.align_rows(
                scores, time, classes, targets, logit_lengths, target_lengths, batch.blank, normalize, distance,
                sizes.kept, chosen, found.paths, found.classes, found.first, found.last, found.scores, found.totals,
                *checkpoints.take_scratch(space, sizes, logits.dtype),
            )  # fmt: skip

    if rows:
        shares, _, _ = _divide_rows(batch, frames, classes, labels, huge_apart=False)
        try:
            threads.run_in_threads(work, shares)
        except MemoryError as error:
            raise _not_enough_memory(logit_lengths, target_lengths, sizes) from error
    return found


def _not_enough_memory(
    logit_lengths: np.ndarray, target_lengths: np.ndarray, sizes: checkpoints.Sizes
) -> OutOfMemoryError:
    """The error for the largest row of a batch."""
    frames, labels = np.clip(logit_lengths, 0, sizes.frames), np.clip(target_lengths, 0, sizes.labels)
    row = int(np.argmax(frames * (2 * labels + 1)))
    return not_enough_memory(row, int(frames[row]), int(labels[row]), sizes.bytes)


def multiply_hessian(
    logits: np.ndarray,
    batch: Batch,
    direction: np.ndarray,
    *,
    normalize: bool = True,
    gradient: int = second_derivative.SOFTMAX,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return the derivative of each row's gradient in a direction, times the row's weight.

    Args:
        logits: float32 or float64 (batch, time, classes).
        batch: lengths and targets; a row that breaks the contract gets NaN.
        direction: of the shape and type of the logits; frames past a row's length are not read.
        normalize: as in the contract.
        gradient: SOFTMAX, POSTERIOR or EXP of `seqloss.kernels.ctc.second_derivative`.
        weights: (batch,), the factor of each row; None for 1.

    Returns:
        The product, contiguous, in the shape and type of the logits.
    """
    rows, time, classes = logits.shape
    scores, vectors = (_as_writable(np.require(array, requirements="C")).reshape(-1) for array in (logits, direction))
    targets, logit_lengths, target_lengths = _contiguous_integers(batch)
    frames, labels = _longest_row(batch, time)
    states = 2 * labels + 1
    factors = np.ones(rows) if weights is None else np.ascontiguousarray(weights, np.float64)
    result = allocate(logits.size, logits.dtype)

    def work(chosen: np.ndarray) -> None:
        with Workspace() as space:
            second_derivative.multiply_hessians(
                scores, vectors, time, classes, targets, logit_lengths, target_lengths, batch.blank, normalize,
                gradient, factors, chosen, space.take("sums and tangents", 4 * frames * states, FLOAT),
                space.take("frame", 4 * states + 6, FLOAT), result,
            )  # fmt: skip

    if logits.size:
        shares, apart, _ = _divide_rows(batch, frames, classes, labels)
        threads.run_in_threads(work, [*shares, apart] if apart.size else shares)
    return result.reshape(logits.shape)


def add_exponentials(
    logits: np.ndarray, batch: Batch, gradient: np.ndarray, frames: np.ndarray, weights: np.ndarray | None = None
) -> None:
    """Turn minus the posteriors into exp(logits) - posteriors, times each row's weight, in place.

    Args:
        logits: float32 or float64 (batch, time, classes), any strides.
        batch: lengths and targets.
        gradient: contiguous, of the shape and type of the logits.
        frames: int64 (batch,), the frames of each row to change; 0 for a row that breaks the contract.
        weights: (batch,), the factor of each row; None for 1.
    """
    rows, time, classes = logits.shape
    longest = int(frames.max(initial=0))
    if not rows * longest * classes:
        return
    scores, steps = _flat_memory(logits)
    targets, _, target_lengths = _contiguous_integers(batch)
    factors = np.ones(rows, logits.dtype) if weights is None else weights.astype(logits.dtype, copy=False)
    many = max(1, IN_CACHE // (longest * classes))
    seen, used = np.full(classes, -1), np.empty(classes, np.int64)
    with Workspace() as space:
        for first in range(0, rows, many):
            part = logits[first : first + many, :longest]
            exponentials = space.take(f"exponentials {logits.dtype.char}", part.size, logits.dtype)[: part.size]
            with np.errstate(all="ignore"):  # the scores can have any value
                np.exp(part, out=exponentials.reshape(part.shape))
            exp_gradient.add_exponentials(
                scores, steps, exponentials, time, classes, targets, target_lengths, batch.blank, frames, longest,
                factors, np.arange(first, first + len(part)), seen, used, gradient.reshape(-1),
            )  # fmt: skip


def _flat_memory(logits: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """An array's memory from its first entry on, and each axis' step in elements; copies only unaligned arrays."""
    if logits.flags.c_contiguous and logits.flags.writeable and logits.flags.aligned and logits.size:
        _, time, classes = logits.shape
        return logits.reshape(-1), (time * classes, classes, 1)
    if not logits.flags.aligned or any(stride % logits.itemsize for stride in logits.strides):
        logits = np.ascontiguousarray(logits)
    batch, time, classes = (stride // logits.itemsize for stride in logits.strides)
    return np.asarray(_WritableMemory(logits, (1,))), (batch, time, classes if logits.shape[2] > 1 else 1)


def _contiguous_integers(batch: Batch) -> list[np.ndarray]:
    """Targets and both lengths as the kernels take them: int64, contiguous, not read-only."""
    return [
        array if array.dtype == np.int64 and array.flags.carray else _as_writable(np.require(array, np.int64, "C"))
        for array in (batch.targets, batch.logit_lengths, batch.target_lengths)
    ]


def _longest_row(batch: Batch, time: int) -> tuple[int, int]:
    """The most frames and labels in use in any row."""
    if not batch.logit_lengths.size:
        return 0, 0
    frames, labels = int(batch.logit_lengths.max()), int(batch.target_lengths.max())
    return max(0, min(time, frames)), max(0, min(batch.targets.shape[1], labels))


class _WritableMemory:
    """An array's memory in another shape, not marked read-only; keeps the array alive."""

    def __init__(self, array: np.ndarray, shape: tuple[int, ...]) -> None:
        self.array = array
        self.__array_interface__ = {
            "data": (array.ctypes.data, False),
            "shape": shape,
            "typestr": array.dtype.str,
            "version": 3,
        }


def _as_writable(array: np.ndarray) -> np.ndarray:
    """The same entries, not marked read-only: for read-only arrays, Numba would compile the kernel a second time."""
    return array if array.flags.writeable else np.asarray(_WritableMemory(array, array.shape))


def _divide_rows(
    batch: Batch, frames: int, classes: int, labels: int, huge_apart: bool = True
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Divide the rows among threads: longest first, each to the thread with the least work.

    Args:
        frames, labels: the most of any row.
        huge_apart: huge rows are not given to a thread.

    Returns:
        the rows of each thread; the huge rows and their costs, the largest first.
    """
    rows, count = np.arange(len(batch.logit_lengths)), threads.get_num_threads()
    huge = huge_rows.HUGE if huge_apart else math.inf
    most = _estimate_nanoseconds(frames, classes, labels)
    if most < huge and (count == 1 or len(rows) * most < 2 * WORTH_A_THREAD):
        return [rows], rows[:0], rows[:0]
    used = np.minimum(np.maximum(batch.logit_lengths, 0), frames)
    costs = _estimate_nanoseconds(used, classes, np.minimum(np.maximum(batch.target_lengths, 0), labels))
    order = np.argsort(-costs, kind="stable")
    apart = order[: np.count_nonzero(costs >= huge)]
    rest = order[len(apart) :]
    count = max(1, min(len(rest), count, int(costs[rest].sum() / WORTH_A_THREAD)))
    shares: list[list[int]] = [[] for _ in range(count)]
    load = [0.0] * count
    for row, cost in zip(rest.tolist(), costs[rest].tolist(), strict=True):
        least = load.index(min(load))
        shares[least].append(row)
        load[least] += cost
    return [np.array(share) for share in shares if share], apart, costs[apart]


def _estimate_nanoseconds(frames: Any, classes: int, labels: Any) -> Any:
    """The estimated cost of a row, in nanoseconds."""
    return frames * (0.4 * classes + 1.5 * (labels + 32.0))
