"""The explicit look at a batch: which rows cannot be trained on, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seqloss import contract, errors
from seqloss.contract import Batch
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.rows import Path
from seqloss.numpy.arrays import rounding, scores

Kind = Literal["length", "label", "normalization", "non-finite", "infeasible"]

KINDS: dict[type, Kind] = {
    errors.LengthError: "length",
    errors.LabelError: "label",
    errors.NormalizationError: "normalization",
}

DESCRIPTIONS: dict[Kind, str] = {
    "length": "out-of-range length",
    "label": "out-of-range label",
    "normalization": "unnormalized row",
    "non-finite": "non-finite row",
    "infeasible": "infeasible target",
}


@dataclass(frozen=True)
class Finding:
    """One row that gives no gradient, or that the loss refuses.

    Attributes:
        row: its number in the batch.
        kind: "length", "label" or "normalization": refused; "non-finite": a NaN or +inf, or nothing but -inf, in a
        frame
            in use; "infeasible": no path of positive probability fits.
        cause: what was found, what was expected, what to do next.
    """

    row: int
    kind: Kind
    cause: str


@dataclass(frozen=True)
class Report:
    """What `ctc_check` saw: nothing wrong if it is `ok`; printed, one line for each finding.

    Attributes:
        rows: how many there are in the batch.
        findings: at most one for each row, in the rows' order.
    """

    rows: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def counts(self) -> dict[Kind, int]:
        """How many rows of each kind, for the kinds that were met."""
        return dict(Counter(finding.kind for finding in self.findings))

    def __str__(self) -> str:
        if self.ok:
            return f"all {self.rows} samples valid"
        counts = ", ".join(f"{n} {DESCRIPTIONS[kind]}{'s' * (n != 1)}" for kind, n in self.counts.items())
        head = f"{len(self.findings)} of {self.rows} samples invalid: {counts}"
        return "\n".join([head, *(finding.cause for finding in self.findings)])


def ctc_check(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Look at a batch before you train on it: every row that `ctc_loss` would refuse, or answer with inf or NaN.

    Args: as `ctc_loss`.

    Returns:
        a `Report` with the rows, their number by kind, and the cause of each.

    Raises:
        ShapeError, DTypeError: an argument's form, which is no single row's fault; LabelError for the blank itself;
        LengthError for concatenated targets whose lengths do not add up.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_check
        >>> report = ctc_check(np.zeros((3, 2, 4)), [[1, 2], [1, 1], [3, 4]])
        >>> report.counts
        {'infeasible': 1, 'label': 1}
        >>> report.findings[0].cause[:64]
        'row 1: no path fits: 2 labels with 1 adjacent repeats need 3 fra'
    """
    values, kind = scores(logits)
    batch = contract.validate(values.shape, targets, logit_lengths, target_lengths, blank=blank, values=False)
    return look(values, batch, normalize, rounding(kind.name))


def look(values: np.ndarray, batch: Batch, normalize: bool, rounding: float) -> Report:
    """`ctc_check`, for the frontends.

    Args:
        values: float32 or float64 (batch, time, classes).
        batch: from `contract.validate(..., values=False)`.
        normalize: as in `ctc_loss`.
        rounding: of the type that the scores came in, see `contract.check_normalized`.
    """
    findings = {
        row: Finding(row, KINDS[type(error)], str(error))
        for row, error in contract.bad_rows(values.shape, batch).items()
    }
    _, paths, _ = loss_and_grad(values, batch, normalize=normalize, gradient=False)
    for row in range(values.shape[0]):
        if row in findings:
            continue
        frames = values[row, : batch.logit_lengths[row]]
        error = None if normalize else contract.not_normalized(frames, row, rounding)
        if error:
            findings[row] = Finding(row, "normalization", str(error))
        elif paths[row] == Path.NON_FINITE:
            read = None if normalize else [batch.blank, *batch.targets[row, : batch.target_lengths[row]]]
            findings[row] = Finding(row, "non-finite", errors.non_finite_row(row, *_first_non_finite(frames, read)))
        elif paths[row] == Path.INFEASIBLE:
            findings[row] = Finding(row, "infeasible", str(contract.infeasible_row(row, batch)))
    return Report(values.shape[0], tuple(findings[row] for row in sorted(findings)))


def _first_non_finite(frames: np.ndarray, read: list[int] | None) -> tuple[int, float]:
    """The first frame (time, classes) that cannot be used, and the score that makes it so.

    Args:
        read: the classes that the loss reads; None for all, and then a frame of nothing but -inf cannot be used either.
    """
    for t, frame in enumerate(frames if read is None else frames[:, read]):
        wrong = frame[np.isnan(frame) | (frame == np.inf)]
        if wrong.size or (read is None and (frame == -np.inf).all()):
            return t, float(wrong[0]) if wrong.size else -np.inf
    raise AssertionError("the kernel found a frame that cannot be used")
