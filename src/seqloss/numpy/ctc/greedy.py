"""The most probable path, read as labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss import contract
from seqloss.numpy.arrays import logits_to_numpy


@dataclass(frozen=True)
class Greedy:
    """One row's most probable path.

    Attributes:
        labels: the classes left after removing repeats and blanks, int64 (labels,).
        first, last: the first and last frame of each label, int64 (labels,).
        label_scores: the log probability of each label over its frames, float64 (labels,).
        score: the log probability of the whole path, blanks included; NaN for a row with a NaN or +inf in
        use.
    """

    labels: np.ndarray
    first: np.ndarray
    last: np.ndarray
    label_scores: np.ndarray
    score: float


def ctc_greedy(logits: Any, logit_lengths: Any = None, *, blank: int = 0, normalize: bool = True) -> list[Greedy]:
    """Read a network's output in the simplest way: the best class of each frame, repeats merged, blanks dropped.

    This is the most probable *path*, not the most probable label sequence, which may be spread over many
    paths.

    Args:
        logits: scores (batch, time, classes), as `ctc_loss` takes them.
        logit_lengths: frames in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: take the softmax, or take the scores for log-probabilities as they stand.

    Returns:
        a `Greedy` for each row; among equal scores in a frame the lower class wins.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_greedy
        >>> frames = [0, 2, 2, 0, 2, 1]
        >>> read = ctc_greedy(9.0 * np.eye(3)[None, frames])[0]
        >>> read.labels.tolist(), read.first.tolist(), read.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])
    """
    values, _ = logits_to_numpy(logits)
    rows = values.shape[0] if values.ndim == 3 else 0
    batch = contract.validate(values.shape, np.zeros((rows, 0), np.int64), logit_lengths, blank=blank, values=True)
    return [
        _decode_row(row[:frames].astype(np.float64), batch.blank, normalize)
        for row, frames in zip(values, batch.logit_lengths, strict=True)
    ]


def _decode_row(row: np.ndarray, blank: int, normalize: bool) -> Greedy:
    """One row's scores (frames, classes)."""
    if not row.size:
        return _merge_repeats(np.zeros(0, np.int64), np.zeros(0), blank)
    classes = row.argmax(axis=1)
    best = row.max(axis=1)
    if not np.isfinite(best).all():
        none = np.zeros(0, np.int64)
        return Greedy(none, none, none, np.zeros(0), float("nan"))
    if normalize:
        with np.errstate(under="ignore"):
            best = -np.log(np.exp(row - best[:, None]).sum(axis=1))
    return _merge_repeats(classes, best, blank)


def _merge_repeats(classes: np.ndarray, log_probs: np.ndarray, blank: int) -> Greedy:
    """Merge runs of one class, then drop the blanks."""
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    ends = np.append(starts[1:], classes.size) - 1 if starts.size else starts
    kept = classes[starts] != blank
    first, last = starts[kept], ends[kept]
    sums = np.append(0.0, np.cumsum(log_probs))
    return Greedy(classes[first], first, last, sums[last + 1] - sums[first], float(log_probs.sum()))
