"""A batch that an implementation is asked about, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seqloss import contract


@dataclass(frozen=True, eq=False)
class Problem:
    """The arguments of one call, as NumPy arrays.

    Attributes:
        logits: (batch, time, classes) float64: scores before softmax, or log-probabilities if the implementation takes
        those.
        targets: (batch, labels) int64, whatever stands in the padding.
        logit_lengths, target_lengths: (batch,) int64.
        blank: its class, 0 or more.
        upstream: (batch,), what the gradient of each row's loss is multiplied by; None for 1.
        form: a name of `forms.FORMS`: how the arrays are handed over; "" for as they are.
    """

    logits: np.ndarray
    targets: np.ndarray
    logit_lengths: np.ndarray
    target_lengths: np.ndarray
    blank: int = 0
    upstream: np.ndarray | None = None
    form: str = ""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Batch, time, classes, labels."""
        return (*self.logits.shape, self.targets.shape[1])

    def label_rows(self) -> list[list[int]]:
        """Each row's target, without its padding."""
        return [row[:n].tolist() for row, n in zip(self.targets, self.target_lengths, strict=True)]

    def but(self, **changes: object) -> Problem:
        return replace(self, **changes)  # type: ignore[arg-type]

    def pick(self, rows: Sequence[int] | np.ndarray) -> Problem:
        """These rows, in this order."""
        rows = np.asarray(rows, np.int64)
        return self.but(
            logits=self.logits[rows],
            targets=self.targets[rows],
            logit_lengths=self.logit_lengths[rows],
            target_lengths=self.target_lengths[rows],
            upstream=None if self.upstream is None else self.upstream[rows],
        )

    def alone(self, row: int) -> Problem:
        """One row, without any padding."""
        one = self.pick([row])
        return one.but(
            logits=one.logits[:, : one.logit_lengths[0]],
            targets=one.targets[:, : one.target_lengths[0]],
        )

    def feasible(self) -> np.ndarray:
        """bool (batch,): rows with frames enough."""
        needed = [required(labels) for labels in self.label_rows()]
        return self.logit_lengths >= np.array(needed, np.int64)


def problem(
    logits: object,
    targets: Sequence[Sequence[int]],
    frames: Sequence[int] | None = None,
    *,
    blank: int = 0,
    padding: int | None = None,
) -> Problem:
    """From rows of labels of any length; they are filled up with a label that would be allowed, or `padding`."""
    scores = np.asarray(logits, np.float64)
    counts = np.array([len(row) for row in targets], np.int64)
    fill = (1 if blank == 0 else 0) if padding is None else padding
    labels = np.full((len(targets), int(counts.max(initial=0))), fill, np.int64)
    for n, row in enumerate(targets):
        labels[n, : len(row)] = row
    lengths = np.full(len(targets), scores.shape[1], np.int64) if frames is None else np.asarray(frames, np.int64)
    return Problem(scores, labels, lengths, counts, blank)


def required(labels: Sequence[int]) -> int:
    """The fewest frames that a target fits."""
    lengths = np.array([len(labels)])
    targets = np.array([labels], np.int64).reshape(1, -1)
    return int(contract.required_frames(targets, lengths)[0])


@dataclass(frozen=True, eq=False)
class Answer:
    """What came back from one call.

    Attributes:
        loss: as it was returned, or None; gradient likewise, and None where the implementation returns none.
        raised: the exception's type and message, if it raised.
        wrote: names of the arguments that the call changed.
        died: "crashed ..." or "did not answer within ... s", if there was no reply at all.
        timed_out: whether a time limit is the reason for that, here or in the calls before: nothing is known of values.
    """

    loss: np.ndarray | None = None
    gradient: np.ndarray | None = None
    raised: str = ""
    wrote: tuple[str, ...] = ()
    died: str = ""
    timed_out: bool = False
