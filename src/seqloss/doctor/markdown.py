"""Findings as Markdown, for TensorBoard and for pages of issues and pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloss.doctor.findings import Finding, Findings

SPECIAL = re.compile(r"([\\`*_\[\]#|])")
"""What Markdown would read as markup inside a line."""


def render_markdown(findings: Findings) -> str:
    """A section for each finding, then the laws."""
    parts = [line for finding in findings for line in _finding_lines(finding)]
    if not findings:
        parts += ["Nothing found.", ""]
    parts += _law_lines(findings.checked, dict(findings.not_checked))
    return "\n".join(parts).rstrip() + "\n"


def escape_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in one line.

    Example:
        >>> print(escape_markdown("layers[0].weight_hh <b>"))
        layers\\[0\\].weight\\_hh &lt;b&gt;
    """
    line = " ".join(text.split())
    return SPECIAL.sub(r"\\\1", line.replace("&", "&amp;")).replace("<", "&lt;").replace(">", "&gt;")


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield from (f"### {finding.severity}: {escape_markdown(finding.name)}", "")
    yield from (f"{_sentence(finding.cause)}", "")
    for name, value in finding.measured.items():
        yield f"* {escape_markdown(name)}: {escape_markdown(value)}"
    yield from ("", f"**What to do:** {_sentence(finding.fix)}", "")
    if finding.code:
        yield from (f"{_fence(finding.code)}python", finding.code.rstrip(), _fence(finding.code), "")


def _law_lines(checked: Sequence[str], not_checked: dict[str, str]) -> Iterator[str]:
    if checked:
        yield from (f"Laws that were checked: {', '.join(map(escape_markdown, checked))}.", "")
    for law, reason in not_checked.items():
        yield f"* not checked: {escape_markdown(law)}: {escape_markdown(reason)}"


def _sentence(text: str) -> str:
    return f"{escape_markdown(text[:1].upper() + text[1:]).rstrip('.')}."


def _fence(code: str) -> str:
    """Longer than any row of backticks in the code."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
