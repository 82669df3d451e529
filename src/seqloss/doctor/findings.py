"""What the doctor finds: names, numbers, causes and fixes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from seqloss.doctor.bars import draw_bars
from seqloss.doctor.markdown import escape_markdown, fence_python, write_sentence

if TYPE_CHECKING:
    from rich.table import Table

Severity = Literal["error", "warning", "note"]
"""An error breaks a law that every healthy training keeps. A warning is unusual, and can be meant. A note is a fact
that a healthy training may have, such as rows with wrong targets."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: fixed and short, such as "weights-not-in-optimizer".
        severity: "error", "warning" or "note".
        evidence: what was measured, by name.
        cause: in words.
        fix: what to do.
        code: at most ten lines of Python that show it.
        curves: numbers over the training that show it, by name: drawn as bars in text, and as diagrams in a report.

    Example:
        >>> from seqloss.doctor import Finding
        >>> print(Finding("no-gradient", "error", {"layer": "encoder.0"}, "a layer gets none", "remove detach()"))
        error: no-gradient: a layer gets none (layer encoder.0). remove detach()
    """

    name: str
    severity: Severity
    evidence: Mapping[str, Any]
    cause: str
    fix: str
    code: str = ""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def measured(self) -> dict[str, str]:
        """The evidence as words."""
        return {str(name): _format(value) for name, value in self.evidence.items()}

    @property
    def drawn(self) -> dict[str, str]:
        """The curves as bars, each with its first and last number."""
        curves = {name: [float(one) for one in values] for name, values in self.curves.items() if len(values) > 1}
        return {
            name: f"{_format(values[0])} {draw_bars(values)} {_format(values[-1])}" for name, values in curves.items()
        }

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The evidence as words, then the curves as bars."""
        return [*self.measured.items(), *((f"{name}, over time", bars) for name, bars in self.drawn.items())]

    @property
    def head(self) -> str:
        """Everything but what to do, in a line."""
        measured = ", ".join(f"{name} {value}" for name, value in self.measured.items())
        return f"{self.severity}: {self.name}: {self.cause}{measured and f' ({measured})'}"

    @property
    def rank(self) -> int:
        """0 for an error; larger for what is less severe."""
        return SEVERITIES.index(self.severity)

    def __str__(self) -> str:
        return f"{self.head}. {self.fix}"

    def to_markdown(self) -> str:
        """A heading, the cause, the evidence as a list, what to do, and the code."""
        evidence = [f"* {escape_markdown(name)}: {escape_markdown(value)}" for name, value in self.shown]
        parts = [
            f"### {self.severity}: {escape_markdown(self.name)}",
            write_sentence(self.cause),
            "\n".join(evidence),
            f"**What to do:** {write_sentence(self.fix)}",
            fence_python(self.code) if self.code else "",
        ]
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """All that was found; falsy if nothing was.

    Attributes:
        found: the findings, errors first; those of a training that was watched in the order of its steps.
        checked: names of the laws that were checked.
        not_checked: law -> why it could not be checked.
        batch: part of the first batch -> how it was read.

    Example:
        >>> from seqloss.doctor import Finding, Findings
        >>> found = Findings((Finding("no-gradient", "error", {}, "a layer gets no gradient", "remove detach()"),))
        >>> bool(found), found.names, found.exit_code
        (True, ['no-gradient'], 1)
        >>> Findings.from_json(found.to_json()) == found
        True
    """

    found: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)
    batch: Mapping[str, str] = field(default_factory=dict)

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
        yield from (f"batch, read as: {part}: {read}" for part, read in self.batch.items())

    def joined(self, more: Findings) -> Findings:
        """Both together, each finding once, errors first; a law that either checked is checked."""
        found = list(self.found) + [finding for finding in more.found if finding not in self.found]
        checked = tuple(dict.fromkeys([*self.checked, *more.checked]))
        not_checked = {law: why for law, why in {**self.not_checked, **more.not_checked}.items() if law not in checked}
        return Findings(errors_first(found), checked, not_checked, self.batch or more.batch)

    def to_json(self) -> str:
        """The same as text that programs read; numbers that are not finite are the words "inf" and "nan"."""
        found = {
            "findings": [
                asdict(finding) | {"evidence": _plain(finding.evidence), "curves": _plain(finding.curves)}
                for finding in self.found
            ],
            "checked": list(self.checked),
            "not_checked": dict(self.not_checked),
            "batch": dict(self.batch),
        }
        return json.dumps(found, indent=1, default=str, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            read = json.loads(text)
            found = tuple(Finding(**finding) for finding in read["findings"])
            if any(finding.severity not in SEVERITIES for finding in found):
                raise ValueError("found an unknown severity")
            return cls(found, tuple(read["checked"]), dict(read["not_checked"]), dict(read.get("batch", {})))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"expected the JSON of findings ({type(error).__name__}: {error})") from error

    def to_markdown(self) -> str:
        """A heading for each finding with its cause, evidence, fix and code; then the laws that were checked."""
        parts = [finding.to_markdown() for finding in self.found] or ["Nothing found."]
        if self.checked:
            parts.append(f"Laws that were checked: {', '.join(map(escape_markdown, self.checked))}.")
        if self.not_checked:
            reasons = {escape_markdown(law): escape_markdown(why) for law, why in self.not_checked.items()}
            parts.append("\n".join(f"* not checked: {law}: {why}" for law, why in reasons.items()))
        if self.batch:
            read = {escape_markdown(part): escape_markdown(found) for part, found in self.batch.items()}
            parts.append("\n".join(f"* batch, read as: {part}: {found}" for part, found in read.items()))
        return "\n\n".join(parts) + "\n"

    def to_tensorboard(self, writer: Any, step: int = 0, name: str = "findings") -> None:
        """Show the Markdown among TensorBoard's texts.

        Args:
            writer: a torch.utils.tensorboard.SummaryWriter.
            step: of the training.
            name: of the text.
        """
        writer.add_text(name, self.to_markdown(), step)

    def table(self) -> Table:
        """For `rich.print`. All texts are shown as they are, names with brackets too."""
        from rich.table import Table
        from rich.text import Text

        table = Table("finding", "evidence", "cause and fix", show_lines=True)
        colors = {"error": "red", "warning": "yellow", "note": "cyan"}
        for finding in self.found:
            name = Text.assemble((finding.name, colors[finding.severity]), f"\n{finding.severity}")
            shown = "\n".join(f"{name}: {value}" for name, value in finding.shown)
            table.add_row(name, Text(shown), Text(f"{finding.cause}.\n{finding.fix}"))
        return table


def errors_first(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by severity; those of the same severity in the order in which they came."""
    return tuple(sorted(found, key=lambda finding: finding.rank))


def describe_error(error: BaseException) -> str:
    """The type of an error and the first line of its message, for evidence and reasons."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _plain(value: Any) -> Any:
    """As JSON has it: floats that are not finite become words."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_format, value[:5]))
        return shown if len(value) <= 5 else f"{shown} and {len(value) - 5} more"
    return str(value)
