"""What a watch has found so far, and what it could not check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from seqloss.doctor.findings import Finding, Findings, describe_error
from seqloss.doctor.subject import NotChecked


class Found:
    """Findings by name: each is kept once, as it was met first.

    Args:
        first: steps before the first one that was watched; findings count them.
        on_finding: called with each finding at once.

    Attributes:
        by_name: the findings.
        not_checked: check -> why it could not be done.
    """

    def __init__(self, first: int, on_finding: Callable[[Finding], None] | None) -> None:
        self.first, self.on_finding = first, on_finding
        self.by_name: dict[str, Finding] = {}
        self.not_checked: dict[str, str] = {}

    def add(self, found: Iterable[Finding]) -> None:
        """Keep what is new."""
        for finding in found:
            if finding.name not in self.by_name:
                evidence = {**finding.evidence, "step": finding.evidence["step"] + self.first}
                self.by_name[finding.name] = kept = replace(finding, evidence=evidence)
                if self.on_finding:
                    self.on_finding(kept)

    def check(self, name: str, check: Callable[[], Iterable[Finding] | None]) -> None:
        """Keep what a check finds; it never ends a training with an error of its own."""
        try:
            found = list(check() or ())
        except Exception as error:
            self.not_checked[name] = (
                str(error) if isinstance(error, NotChecked | TimeoutError) else describe_error(error)
            )
        else:
            self.add(found)

    def findings(self, checks: Sequence[str]) -> Findings:
        """The first step first: what comes later is often caused by it."""
        found = sorted(self.by_name.values(), key=lambda finding: (finding.evidence["step"], finding.rank))
        checked = tuple(name for name in checks if name not in self.not_checked)
        return Findings(tuple(found), checked, dict(self.not_checked))
