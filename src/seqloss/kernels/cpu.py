"""CTC of a batch on the CPU, its loss and its best path: what the doors call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss.contract import Batch
from seqloss.kernels import align, ctc, layout, threads
from seqloss.kernels.workspace import Workspace, allocate

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
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Loss, path and gradient of each row.

    Args:
        logits: float32 or float64 (batch, time, classes); copied where it is not contiguous.
        batch: lengths and targets; a row that breaks the contract is answered with NaN.
        normalize: as in the contract.
        softmax: whether the gradient is the softmax less the posterior, or minus the posterior; None for what the
            contract says, `normalize`.
        gradient: compute it, or only the loss.
        out: contiguous, as logits: where to write the gradient; None for fresh memory.

    Returns:
        losses (batch,) of the logits' type; paths (batch,) int64, see `seqloss.kernels.ctc.Path`; the
        gradient of each row's loss, as logits, or None. A row that no path fits has loss inf and gradient 0.
    """
    rows, time, classes = logits.shape
    softmax = normalize if softmax is None else softmax
    scores, targets, logit_lengths, target_lengths = _plain(logits, batch)
    result = allocate(scores.size if gradient else 0, logits.dtype) if out is None else out.reshape(-1)
    losses, paths = allocate(rows, np.dtype(np.float64)), allocate(rows, np.dtype(np.int64))
    frames, labels = _longest(batch, time)

    def work(first: int, step: int) -> None:
        with Workspace() as space:
            narrow = logits.dtype == np.float32
            sums = layout.workspace_size(frames, labels, labels + 1, layout.LANES[0 if narrow else 1], gradient)
            ctc.rows(
                scores, time, classes, targets, logit_lengths, target_lengths,
                batch.blank, normalize, softmax, gradient, first, step, losses, paths, result,
                space.take(f"m{logits.dtype}", sums, logits.dtype),
                space.take(f"e{logits.dtype}", sums, np.dtype(np.int32 if narrow else np.int64)),
                space.take("floats", 2 * (labels + 16) + 2 * frames, np.dtype(np.float64)),
                space.take("integers", classes + 2 * labels + 64, np.dtype(np.int64)),
            )  # fmt: skip

    if rows:
        threads.share(work, _threads(rows, frames, classes, labels))
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
    scores, targets, logit_lengths, target_lengths = _plain(logits, batch)
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

    def work(first: int, step: int) -> None:
        with Workspace() as space:
            align.rows(
                scores, time, classes, targets, logit_lengths, target_lengths, batch.blank, normalize, first, step,
                found.paths, found.classes, found.first, found.last, found.scores, found.totals,
                space.take("floats", floats, np.dtype(np.float64)),
                space.take("integers", classes + 2 * labels + 64, np.dtype(np.int64)),
                space.take("steps", frames * states, np.dtype(np.uint8)),
            )  # fmt: skip

    if rows:
        threads.share(work, _threads(rows, frames, classes, labels))
    return found


def _plain(logits: np.ndarray, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores in one line, targets and both lengths, as the kernels take them."""
    integers = (
        _as_writable(np.require(array, np.int64, "C"))
        for array in (batch.targets, batch.logit_lengths, batch.target_lengths)
    )
    return (_as_writable(np.require(logits, requirements="C")).reshape(-1), *integers)  # type: ignore[return-value]


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


def _threads(rows: int, frames: int, classes: int, labels: int) -> int:
    nanoseconds = rows * frames * (0.5 * classes + 3.0 * (labels + 16))
    return max(1, min(rows, threads.get_num_threads(), int(nanoseconds / WORTH_A_THREAD)))
