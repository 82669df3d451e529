"""What was found about an implementation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Status = Literal["holds", "breaks", "not promised", "not tried"]
HOLDS: Final = "holds"
BREAKS: Final = "breaks"
NOT_PROMISED: Final = "not promised"
NOT_TRIED: Final = "not tried"


@dataclass(frozen=True)
class Finding:
    """A broken law: what was expected and found, why, lines of Python that show it again, what usually causes it.

    Attributes:
        timed_out: whether a call took too long; then no cause is told, since no answer was seen.
    """

    expected: str
    found: str
    why: str
    script: str
    case: str = ""
    cause: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Result:
    """One law's outcome: on how many problems it was tried, and the finding or the reason."""

    law: str
    status: Status
    problems: int = 0
    finding: Finding | None = None
    reason: str = ""


@dataclass(frozen=True)
class Answered:
    """A named case: the definition's answer and the implementation's, in words."""

    case: str
    thread: str
    exact: str
    found: str
    right: bool


@dataclass(frozen=True)
class Agreement:
    """Distance from the definition over a set of utterances, for one type of scores; nats, and relative to the loss.

    Attributes:
        utterances: that have a finite loss: the figures are theirs.
        impossible: utterances that no path fits.
        apart: utterances further from the definition than honest rounding; an impossible one whose loss is finite too.
    """

    dtype: str
    utterances: int
    mean: float
    deviation: float
    worst: float
    relative_mean: float
    relative_deviation: float
    relative_worst: float
    gradient_worst: float | None = None
    impossible: int = 0
    apart: int = 0


@dataclass(frozen=True)
class Report:
    """All that was found about one implementation.

    Attributes:
        name: of the implementation. versions: of the packages that it needs.
        results: in the order of the laws. cases: the named cases' answers. agreement: a row a type.
        cause: the likely cause of what is broken, in words, or "".
        skipped: why nothing was tried, or "".
        seconds: that it took, without imports.
    """

    name: str
    versions: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Result] = ()
    cases: Sequence[Answered] = ()
    agreement: Sequence[Agreement] = ()
    cause: str = ""
    skipped: str = ""
    seconds: float = 0.0
    calls: int = 0

    @property
    def ok(self) -> bool:
        """Whether it was tried and no law is broken."""
        return not self.skipped and not self.broken

    @property
    def broken(self) -> list[Result]:
        """Broken laws, the one that explains the most first."""
        return [result for result in self.results if result.status == BREAKS]

    @property
    def first(self) -> Result | None:
        """The broken law that explains the others, or None."""
        return next(iter(self.broken), None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.name}: skipped, {self.skipped}"
        if self.ok:
            held = sum(result.status == HOLDS for result in self.results)
            return f"{self.name}: {held} laws hold, none is broken ({self.calls} calls, {self.seconds:.1f} s)"
        lines = [f"{self.name}: breaks {', '.join(result.law for result in self.broken)}"]
        if self.cause:
            lines.append(f"likely cause: {self.cause}")
        first = self.first
        assert first is not None
        assert first.finding is not None
        finding = first.finding
        return "\n".join(
            [
                *lines,
                f"{first.law}: expected {finding.expected}, found {finding.found}; {finding.why}",
                "",
                finding.script,
            ]
        )


def dumps(reports: Sequence[Report]) -> str:
    """All reports as JSON; numbers that JSON does not know are words."""
    return json.dumps([_plain(report.to_json()) for report in reports], indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
