"""`Report`: the results of verifying one implementation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from seqloss.counts import format_count
from seqloss.verify.severity import CARELESS, WRONG, Severity

Status = Literal["holds", "violated", "not supported", "skipped"]
HOLDS: Final = "holds"
VIOLATED: Final = "violated"
NOT_SUPPORTED: Final = "not supported"
SKIPPED: Final = "skipped"

Outcome = Literal["holds", "wrong", "careless", "not supported", "skipped"]
"""A status, where a violation is given by its severity."""

EDGE_CASES = frozenset(
    (
        "closed-scores", "impossible", "masked", "extreme-scores", "non-negative", "nan-in-padding", "nan-in-a-row",
        "empty", "refuses-labels", "refuses-lengths",
    )
)  # fmt: skip
"""Laws about special input, of which each has its own cause. A violation of another law explains those after it."""


@dataclass(frozen=True)
class Finding:
    """A violation of a law.

    Attributes:
        expected: the expected value.
        found: the value found.
        reason: why `expected` follows from the law.
        script: Python code that reproduces it.
        case: the named case that shows it, or "".
        cause: what usually causes it, or "".
        timed_out: whether a call exceeded the time limit. No cause is given then.
        severity: "wrong" or "careless", see `severity`.
    """

    expected: str
    found: str
    reason: str
    script: str
    case: str = ""
    cause: str = ""
    timed_out: bool = False
    severity: Severity = WRONG


@dataclass(frozen=True)
class LawResult:
    """The result of one law.

    Attributes:
        law: its name.
        status: "holds", "violated", "not supported" (by the implementation) or "skipped" (needs `Effort.full`).
        problems: number of problems that were checked.
        finding: the violation, or None.
        reason: why it is not supported or was skipped, or "".
    """

    law: str
    status: Status
    problems: int = 0
    finding: Finding | None = None
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """The status, or the severity of a violation."""
        if self.status != VIOLATED:
            return self.status
        return WRONG if self.finding is None else self.finding.severity


@dataclass(frozen=True)
class CaseResult:
    """The result of a named case, as text.

    Attributes:
        case: its name.
        thread: the bug report that it comes from.
        exact: the exact losses.
        found: the losses of the implementation.
        right: whether they agree.
    """

    case: str
    thread: str
    exact: str
    found: str
    right: bool


@dataclass(frozen=True)
class NumericalError:
    """Errors of the losses against the float64 reference, for one type of logits.

    Attributes:
        dtype: of the logits.
        rows: number of rows with a finite loss, over which the errors are computed.
        mean: absolute error in nats.
        deviation: its standard deviation.
        worst: the largest.
        relative_mean: relative error.
        relative_deviation: its standard deviation.
        relative_worst: the largest.
        gradient_worst: the largest absolute error of the gradient; None without a gradient.
        infeasible: number of rows that no path fits.
        inaccurate: number of rows whose error is larger than the tolerance.
    """

    dtype: str
    rows: int
    mean: float
    deviation: float
    worst: float
    relative_mean: float
    relative_deviation: float
    relative_worst: float
    gradient_worst: float | None = None
    infeasible: int = 0
    inaccurate: int = 0


@dataclass(frozen=True)
class Report:
    """The results of verifying one implementation. Printed, a summary with the first wrong result or remark.

    Attributes:
        name: of the implementation.
        versions: of the packages that it needs.
        results: one per law.
        cases: one per named case.
        numerical_errors: one per type of logits.
        cause: the likely cause of the violations, or "".
        skipped: why the implementation could not be verified, or "".
        seconds: duration, without imports.
        calls: number of calls.

    Example:
        >>> print(Report("mine", skipped="torch is not installed"))
        mine: skipped, torch is not installed
    """

    name: str
    versions: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[LawResult] = ()
    cases: Sequence[CaseResult] = ()
    numerical_errors: Sequence[NumericalError] = ()
    cause: str = ""
    skipped: str = ""
    seconds: float = 0.0
    calls: int = 0

    @property
    def ok(self) -> bool:
        """Whether the implementation was verified and no result is wrong. There can be remarks."""
        return not self.skipped and not self.wrong

    @property
    def strictly_ok(self) -> bool:
        """Whether the implementation was verified and violates no law, not even carelessly."""
        return not self.skipped and not self.violated

    @property
    def wrong(self) -> list[LawResult]:
        """The laws that are violated by wrong results, in the order of the laws."""
        return [result for result in self.results if result.outcome == WRONG]

    @property
    def remarks(self) -> list[LawResult]:
        """The laws that are violated carelessly, in the order of the laws."""
        return [result for result in self.results if result.outcome == CARELESS]

    @property
    def violated(self) -> list[LawResult]:
        """The violated laws of both severities, in the order of the laws: the first explains the most."""
        return [result for result in self.results if result.status == VIOLATED]

    @property
    def first_violation(self) -> LawResult | None:
        """The first violated law, or None."""
        return next(iter(self.violated), None)

    @property
    def summary(self) -> str:
        """The number of laws by outcome.

        Example:
            >>> Report("mine", results=[LawResult("answers", HOLDS), LawResult("empty", VIOLATED)]).summary
            'wrong: violates 1 law; 1 law holds'
            >>> Report("mine", results=[LawResult("answers", HOLDS), LawResult("long", SKIPPED)]).summary
            'all 1 checked laws hold; 1 skipped (use --full)'
        """
        counts = Counter(result.outcome for result in self.results)
        unchecked = f"; {counts[SKIPPED]} skipped (use --full)" if counts[SKIPPED] else ""
        unchecked += f"; {counts[NOT_SUPPORTED]} not supported" if counts[NOT_SUPPORTED] else ""
        remarks = f"; {format_count(counts[CARELESS], 'remark')}" if counts[CARELESS] else ""
        hold = f"; {format_count(counts[HOLDS], 'law')} hold{'s' if counts[HOLDS] == 1 else ''}"
        holds = hold if counts[HOLDS] else ""
        if counts[WRONG]:
            return f"wrong: violates {format_count(counts[WRONG], 'law')}{remarks}{holds}{unchecked}"
        if remarks:
            return f"no result is wrong{remarks}{holds}{unchecked}"
        return f"all {counts[HOLDS]} {'checked ' if unchecked else ''}laws hold{unchecked}"

    def to_json(self) -> dict[str, Any]:
        """The report as a dictionary, with `ok` and `strictly_ok`."""
        return {**asdict(self), "ok": self.ok, "strictly_ok": self.strictly_ok}

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.name}: skipped, {self.skipped}"
        line = f"{self.name}: {self.summary}"
        if not self.violated:
            return f"{line} ({self.calls} calls, {self.seconds:.1f} s)"
        first = (self.wrong or self.remarks)[0]
        assert first.finding is not None
        finding = first.finding
        lines = [line, *([f"likely cause: {self.cause}"] if self.cause else [])]
        lines += [f"{first.law}: expected {finding.expected}, found {finding.found}; {finding.reason}", ""]
        return "\n".join([*lines, finding.script])


def dumps(reports: Sequence[Report]) -> str:
    """All reports as JSON. NaN and infinities, which JSON does not have, are strings."""
    return json.dumps([_make_plain(report.to_json()) for report in reports], indent=1)


def _make_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
