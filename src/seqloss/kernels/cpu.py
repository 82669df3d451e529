"""CTC of a batch on the CPU, its loss and its best path: what the doors call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss.contract import Batch
from seqloss.kernels import align, ctc, layout, threads
from seqloss.kernels.blocks import Space
from seqloss.kernels.workspace import Workspace, allocate

NANOSECONDS_A_CLASS, NANOSECONDS_A_LABEL = 0.5, 2.0
"""What a frame costs, about."""

BLOCKED = True
"""False computes all rows in wide numbers, so that these can be held against the fast path."""

INTEGERS = {"exponents", "saved_exponents", "firsts", "beta_exponents", "highest", "lowest"}
SPACE = {name: np.dtype(np.int64 if name in INTEGERS else np.float64) for name in Space._fields}

WORTH_A_THREAD = 200_000.0
"""Nanoseconds of estimated work per thread, under which a thread costs more than it brings."""


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
        batch: lengths and targets; a row that breaks the contract is answered with NaN.
        normalize: as in the contract.
        softmax: whether the gradient is the softmax less the posterior, or minus the posterior; None for what the
            contract says, `normalize`.
        gradient: compute it, or only the loss.
        out: contiguous, as logits: where to write the gradient; None for fresh memory.
        weights: (batch,), what each row's gradient is multiplied by; None for 1.

    Returns:
        losses (batch,) of the logits' type; paths (batch,) int64, see `seqloss.kernels.ctc.Path`; the
        gradient of each row's loss, as logits, or None. A row that no path fits has loss inf and gradient 0.
    """
    rows, time, classes = logits.shape
    softmax = normalize if softmax is None else softmax
    scores, steps = _memory(logits)
    targets, logit_lengths, target_lengths = _integers(batch)
    result = allocate(logits.size if gradient else 0, logits.dtype) if out is None else out.reshape(-1)
    losses, paths = allocate(rows, np.dtype(np.float64)), allocate(rows, np.dtype(np.int64))
    weights = np.ones(rows, logits.dtype) if weights is None else weights.astype(logits.dtype, copy=False)
    frames, labels = _longest(batch, time)
    sizes = layout.space_sizes(frames, labels, classes, gradient)

    def work(chosen: np.ndarray) -> None:
        with Workspace() as space:
            ctc.rows(
                scores, steps, time, classes, targets, logit_lengths, target_lengths,
                batch.blank, normalize, softmax, gradient, BLOCKED, chosen, losses, paths, result, weights,
                Space(*(space.take(name, sizes[name], dtype) for name, dtype in SPACE.items())),
                space.take(f"line{logits.dtype}", classes, logits.dtype),
                space.take("floats", layout.floats_size(frames, labels, classes), np.dtype(np.float64)),
                space.take("integers", layout.integers_size(labels, classes), np.dtype(np.int64)),
            )  # fmt: skip

    if rows:
        threads.share(work, _shares(batch, time, classes))
    gradients = result.reshape(logits.shape) if gradient else None
    return losses.astype(logits.dtype), paths, gradients


@dataclass(frozen=True)
class BestPaths:
    """The best path of each row; what lies past a row's lengths, or has no path, is -1 (scores: 0).

    Attributes:
        classes: (batch, time) int64, of each frame.
        first, last: (batch, labels) int64, the frames of each label.
        scores: (batch, labels) float64, the log probability of each label's frames; NaN in a poisoned row.
        totals: (batch,) float64, that of the whole path; -inf without one, NaN in a poisoned row.
        paths: (batch,) int64, see `seqloss.kernels.ctc.Path`.
    """

    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    totals: np.ndarray
    paths: np.ndarray


def best_paths(logits: np.ndarray, batch: Batch, *, normalize: bool = True) -> BestPaths:
    """The best path of each row; arguments as `loss_and_grad`."""
    rows, time, classes = logits.shape
    scores = _as_writable(np.require(logits, requirements="C")).reshape(-1)
    targets, logit_lengths, target_lengths = _integers(batch)
    frames, labels = _longest(batch, time)
    found = BestPaths(
        np.full((rows, time), -1),
        np.full(targets.shape, -1),
        np.full(targets.shape, -1),
        np.zeros(targets.shape),
        allocate(rows, np.dtype(np.float64)),
        allocate(rows, np.dtype(np.int64)),
    )

    states = 2 * labels + 1
    floats = layout.slots_size(labels + 1) + 2 * states + 2 * frames

    def work(chosen: np.ndarray) -> None:
        with Workspace() as space:
            align.rows(
                scores, time, classes, targets, logit_lengths, target_lengths, batch.blank, normalize, chosen,
                found.paths, found.classes, found.first, found.last, found.scores, found.totals,
                space.take("floats", floats, np.dtype(np.float64)),
                space.take("integers", classes + 2 * labels + 64, np.dtype(np.int64)),
                space.take("steps", frames * states, np.dtype(np.uint8)),
            )  # fmt: skip

    if rows:
        threads.share(work, _shares(batch, time, classes))
    return found


def _memory(logits: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Memory from an array's first entry on, and from each axis' entry to the next in it: nothing is copied."""
    if not logits.flags.aligned or any(stride % logits.itemsize for stride in logits.strides):
        logits = np.ascontiguousarray(logits)
    start = np.lib.stride_tricks.as_strided(logits, (1,), (logits.itemsize,), writeable=False)
    batch, time, classes = (stride // logits.itemsize for stride in logits.strides)
    return _as_writable(start), (batch, time, classes if logits.shape[2] > 1 else 1)


def _integers(batch: Batch) -> list[np.ndarray]:
    """Targets and both lengths, as the kernels take them."""
    return [
        _as_writable(np.require(array, np.int64, "C"))
        for array in (batch.targets, batch.logit_lengths, batch.target_lengths)
    ]


def _longest(batch: Batch, time: int) -> tuple[int, int]:
    """The most frames and labels that any row uses."""
    frames, labels = (int(lengths.max(initial=0)) for lengths in (batch.logit_lengths, batch.target_lengths))
    return max(0, min(time, frames)), max(0, min(batch.targets.shape[1], labels))


class _Memory:
    """An array's memory, not marked read-only; keeps the array alive."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def _as_writable(array: np.ndarray) -> np.ndarray:
    """The same entries, not marked read-only: Numba would compile the kernel, which only reads them, once more."""
    return array if array.flags.writeable else np.asarray(_Memory(array))


def _shares(batch: Batch, time: int, classes: int) -> list[np.ndarray]:
    """The rows that each thread computes: long ones first, each to the thread that has least to do."""
    rows = len(batch.logit_lengths)
    frames = np.clip(batch.logit_lengths, 0, time)
    labels = np.clip(batch.target_lengths, 0, batch.targets.shape[1])
    costs = frames * (NANOSECONDS_A_CLASS * classes + NANOSECONDS_A_LABEL * (labels + 16.0))
    threads_used = max(1, min(rows, threads.get_num_threads(), int(costs.sum() / WORTH_A_THREAD)))
    if threads_used == 1:
        return [np.arange(rows)]
    shares: list[list[int]] = [[] for _ in range(threads_used)]
    load = [0.0] * threads_used
    for row in np.argsort(-costs, kind="stable").tolist():
        least = load.index(min(load))
        shares[least].append(row)
        load[least] += costs[row]
    return [np.array(share) for share in shares if share]
