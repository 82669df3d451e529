"""CTC of a batch on the CPU: what the doors call."""

from __future__ import annotations

import numpy as np

from seqloss.contract import Batch
from seqloss.kernels import ctc, layout, threads
from seqloss.kernels.workspace import Workspace, allocate

WORTH_A_THREAD = 200_000.0
"""Nanoseconds of estimated work per thread, under which a thread costs more than it brings."""


def loss_and_grad(
    logits: np.ndarray, batch: Batch, *, normalize: bool = True, gradient: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Loss, path and gradient of each row.

    Args:
        logits: float32 or float64 (batch, time, classes); copied where it is not contiguous, or read-only (Numba would
            compile the kernel once more for such arrays).
        batch: lengths and targets; a row that breaks the contract is answered with NaN.
        normalize: as in the contract.
        gradient: compute it, or only the loss.

    Returns:
        losses (batch,) of the logits' type; paths (batch,) int64, see `seqloss.kernels.ctc.Path`; the
        gradient of each row's loss, as logits, or None. A row that no path fits has loss inf and gradient 0.
    """
    rows, time, classes = logits.shape
    scores = np.require(logits, requirements=["C", "W"]).reshape(-1)
    targets, logit_lengths, target_lengths = (
        np.require(array, np.int64, ["C", "W"]) for array in (batch.targets, batch.logit_lengths, batch.target_lengths)
    )
    result = allocate(scores.size if gradient else 0, logits.dtype)
    losses, paths = allocate(rows, np.dtype(np.float64)), allocate(rows, np.dtype(np.int64))
    frames = max(0, min(time, int(logit_lengths.max(initial=0))))
    labels = max(0, min(targets.shape[1], int(target_lengths.max(initial=0))))

    def work(first: int, step: int) -> None:
        with Workspace() as space:
            narrow = logits.dtype == np.float32
            sums = layout.workspace_size(frames, labels, labels + 1, layout.LANES[0 if narrow else 1], gradient)
            ctc.rows(
                scores, time, classes, targets, logit_lengths, target_lengths,
                batch.blank, normalize, gradient, first, step, losses, paths, result,
                space.take(f"m{logits.dtype}", sums, logits.dtype),
                space.take(f"e{logits.dtype}", sums, np.dtype(np.int32 if narrow else np.int64)),
                space.take("floats", 2 * (labels + 16) + 2 * frames, np.dtype(np.float64)),
                space.take("integers", classes + 2 * labels + 64, np.dtype(np.int64)),
            )  # fmt: skip

    if rows:
        threads.share(work, _threads(rows, frames, classes, labels))
    gradients = result.reshape(logits.shape) if gradient else None
    return losses.astype(logits.dtype), paths, gradients


def _threads(rows: int, frames: int, classes: int, labels: int) -> int:
    nanoseconds = rows * frames * (0.5 * classes + 3.0 * (labels + 16))
    return max(1, min(rows, threads.get_num_threads(), int(nanoseconds / WORTH_A_THREAD)))
