"""The arguments of one call to an implementation, and its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqloss import contract


@dataclass(frozen=True, eq=False)
class Problem:
    """The arguments of one call, as NumPy arrays.

    Attributes:
        logits: (batch, time, classes) float64: scores before softmax, or log-probabilities if the implementation takes
            those.
        targets: (batch, labels) int64; any value in the padding.
        logit_lengths: (batch,) int64.
        target_lengths: (batch,) int64.
        blank: its class, 0 or more.
        upstream: (batch,), the upstream gradient of each loss; None for 1.
        layout: a name of `layouts.LAYOUTS`: strides and integer types of the arrays; "" for the default ones.
    """

    logits: np.ndarray
    targets: np.ndarray
    logit_lengths: np.ndarray
    target_lengths: np.ndarray
    blank: int = 0
    upstream: np.ndarray | None = None
    layout: str = ""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Batch, time, classes, labels."""
        return (*self.logits.shape, self.targets.shape[1])

    def label_rows(self) -> list[list[int]]:
        """The target of each row, without padding."""
        return [row[:n].tolist() for row, n in zip(self.targets, self.target_lengths, strict=True)]

    def replace(self, **changes: Any) -> Problem:
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)

    def select_rows(self, rows: Sequence[int] | np.ndarray) -> Problem:
        """A batch of these rows, in this order."""
        rows = np.asarray(rows, np.int64)
        return self.replace(
            logits=self.logits[rows],
            targets=self.targets[rows],
            logit_lengths=self.logit_lengths[rows],
            target_lengths=self.target_lengths[rows],
            upstream=None if self.upstream is None else self.upstream[rows],
        )

    def unpadded_row(self, row: int) -> Problem:
        """A batch of one row, without padding."""
        one = self.select_rows([row])
        return one.replace(
            logits=one.logits[:, : one.logit_lengths[0]],
            targets=one.targets[:, : one.target_lengths[0]],
        )


def make_problem(
    logits: ArrayLike,
    targets: Sequence[Sequence[int]],
    frames: Sequence[int] | None = None,
    *,
    blank: int = 0,
    padding: int | None = None,
) -> Problem:
    """Make a problem from targets of different lengths.

    Args:
        logits: (batch, time, classes).
        targets: labels of each row; padded to the longest.
        frames: `logit_lengths`; None for all frames.
        blank: its class.
        padding: the value that targets are padded with; None for a valid label.

    Returns:
        the problem.

    Example:
        >>> make_problem(np.zeros((2, 3, 4)), [[1, 2], [3]]).targets.tolist()
        [[1, 2], [3, 1]]
    """
    scores = np.asarray(logits, np.float64)
    counts = np.array([len(row) for row in targets], np.int64)
    fill = (1 if blank == 0 else 0) if padding is None else padding
    labels = np.full((len(targets), int(counts.max(initial=0))), fill, np.int64)
    for n, row in enumerate(targets):
        labels[n, : len(row)] = row
    lengths = np.full(len(targets), scores.shape[1], np.int64) if frames is None else np.asarray(frames, np.int64)
    return Problem(scores, labels, lengths, counts, blank)


def frames_required(labels: Sequence[int]) -> int:
    """The smallest number of frames in which a target fits."""
    lengths = np.array([len(labels)])
    targets = np.array([labels], np.int64).reshape(1, -1)
    return int(contract.required_frames(targets, lengths)[0])


@dataclass(frozen=True, eq=False)
class CallResult:
    """The result of one call.

    Attributes:
        loss: as returned; None if the call did not return.
        gradient: as returned; None if there is none.
        raised: type and message of an exception.
        modified: names of the arguments that the call modified.
        failure: "crashed ..." or "did not return within ... s", if the process did not reply.
        timed_out: whether the failure is a timeout, of this call or of earlier ones.
    """

    loss: np.ndarray | None = None
    gradient: np.ndarray | None = None
    raised: str = ""
    modified: tuple[str, ...] = ()
    failure: str = ""
    timed_out: bool = False
