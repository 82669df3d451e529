"""What the explicit checks of a batch return: the rows that cannot be used, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "length",
    "label",
    "normalization",
    "probabilities",
    "non-finite",
    "infeasible",
    "scores",
    "log-probabilities",
    "axis",
]

DESCRIPTIONS: dict[Kind, str] = {
    "length": "out-of-range length",
    "label": "out-of-range label",
    "normalization": "unnormalized row",
    "probabilities": "probability row",
    "non-finite": "non-finite row",
    "infeasible": "infeasible target",
    "scores": "raw-score row",
    "log-probabilities": "log-probability row",
    "axis": "other-axis row",
}


@dataclass(frozen=True)
class Finding:
    """One row that cannot be used.

    Attributes:
        row: index of the row in the batch; of `check_probabilities`, counted over all axes but that of the classes.
        kind: of `ctc_check`: "length", "label" or "normalization" (the loss raises an error), "probabilities" (frames
            in [0, 1] that add up to 1, in place of scores before softmax: the loss is of other probabilities),
            "non-finite" (a frame in use has a NaN or +inf, or only -inf) or "infeasible" (no path has a positive
            probability). Of `check_probabilities`: "scores", "log-probabilities", "axis" (of another axis),
            "normalization" (another sum than 1) or "non-finite" (NaN or inf).
        cause: what was found, what was expected, and what to do next.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_check
        >>> found = ctc_check(np.zeros((2, 3, 4)), [[1, 2], [1, 9]]).findings[0]
        >>> found.row, found.kind
        (1, 'label')
    """

    row: int
    kind: Kind
    cause: str


@dataclass(frozen=True)
class Report:
    """The result of `ctc_check` or `check_probabilities`; `print` shows one line per finding.

    Attributes:
        rows: number of rows in the batch.
        findings: at most one per row, ordered by row.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_check
        >>> report = ctc_check(np.zeros((2, 3, 4)), [[1, 2], [1, 9]])
        >>> report.ok, report.counts
        (False, {'label': 1})
        >>> print(report)  # doctest: +ELLIPSIS
        1 of 2 samples invalid: 1 out-of-range label
        targets[1, 1]: found label 9, expected 0 to 3 without the blank 0; ...
    """

    rows: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    @property
    def counts(self) -> dict[Kind, int]:
        """The number of findings of each kind."""
        return dict(Counter(finding.kind for finding in self.findings))

    def __str__(self) -> str:
        if self.ok:
            return f"all {self.rows} samples valid"
        counts = ", ".join(f"{n} {DESCRIPTIONS[kind]}{'s' * (n != 1)}" for kind, n in self.counts.items())
        head = f"{len(self.findings)} of {self.rows} samples invalid: {counts}"
        return "\n".join([head, *(finding.cause for finding in self.findings)])
