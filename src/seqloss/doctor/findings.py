"""What the doctor finds: names, numbers, causes and fixes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table

Severity = Literal["error", "warning"]
"""An error breaks a law that every healthy training keeps. A warning is unusual, and can be meant."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: fixed and short, such as "weights-not-in-optimizer".
        severity: "error" or "warning".
        evidence: what was measured, by name.
        cause: in words.
        fix: what to do.
        code: at most ten lines of Python that show it.
    """

    name: str
    severity: Severity
    evidence: Mapping[str, Any]
    cause: str
    fix: str
    code: str = ""

    def __str__(self) -> str:
        measured = ", ".join(f"{name} {_format(value)}" for name, value in self.evidence.items())
        return f"{self.severity}: {self.name}: {self.cause} ({measured}). {self.fix}"


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """All that was found, errors first; falsy if nothing was.

    Attributes:
        found: the findings.
        checked: names of the laws that were checked.
        not_checked: law -> why it could not be checked.
    """

    found: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, place: Any) -> Any:
        return self.found[place]

    @property
    def names(self) -> list[str]:
        return [finding.name for finding in self.found]

    @property
    def exit_code(self) -> int:
        """1 with an error, otherwise 0."""
        return int(any(finding.severity == "error" for finding in self.found))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from map(str, self.found)
        if not self.found:
            yield f"nothing found; checked: {', '.join(self.checked)}"
        for reason in dict.fromkeys(self.not_checked.values()):
            names = ", ".join(law for law, found in self.not_checked.items() if found == reason)
            yield f"not checked: {names}: {reason}"

    def to_json(self) -> str:
        """The same as text that programs read."""
        found = {
            "findings": [asdict(finding) | {"evidence": dict(finding.evidence)} for finding in self.found],
            "checked": list(self.checked),
            "not_checked": dict(self.not_checked),
        }
        return json.dumps(found, indent=1, default=str)

    def table(self) -> Table:
        """For `rich.print`."""
        from rich.markup import escape
        from rich.table import Table

        table = Table("finding", "evidence", "cause and fix", show_lines=True)
        colors = {"error": "red", "warning": "yellow"}
        for finding in self.found:
            measured = "\n".join(f"{name}: {_format(value)}" for name, value in finding.evidence.items())
            name = f"[{colors[finding.severity]}]{finding.name}[/]\n{finding.severity}"
            table.add_row(name, escape(measured), escape(f"{finding.cause}.\n{finding.fix}"))
        return table


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_format, value[:5]))
        return shown if len(value) <= 5 else f"{shown} and {len(value) - 5} more"
    return str(value)
