"""The project's pages, taken apart: fenced blocks, inline code, links and headings."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
"""Every page, as a path from the root."""

LANGUAGES = {"python", "python keras", "bash", "text", "json"}
"""`python keras` runs once for each Keras backend, `bash` is checked, `text` and `json` are output."""

FENCE = re.compile(r"^```(.*)$")
MARKER = re.compile(r"^<!-- not executed: (\S.*) -->$")
"""Stands on the line above a block that no test executes, and says why."""

LOOKS_LIKE_PYTHON = re.compile(r"^(>>> |from \S+ import |import \S+$|def \w+\()", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its code, the line of its fence, and why it is not executed, if it is not."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, from top to bottom."""
    lines, found, start = read_page(page).splitlines(), [], None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start, language = number, fence.group(1)
            continue
        marker = MARKER.match(lines[start - 1]) if start else None
        code = "\n".join(lines[start + 1 : number]) + "\n"
        found.append(Block(page, start + 1, language, code, marker and marker.group(1)))
        start = None
    assert start is None, f"{page}:{start}: the block has no end"
    return found


def prose_of(page: str) -> str:
    """A page without its fenced blocks; their lines are empty, so that line numbers stay."""
    lines, inside = [], False
    for line in read_page(page).splitlines():
        fence = FENCE.match(line) is not None
        inside ^= fence
        lines.append("" if inside or fence else line)
    return "\n".join(lines)


def inline_code(page: str) -> Iterator[str]:
    """What stands between single backticks, also where a line ends in between."""
    for paragraph in prose_of(page).split("\n\n"):
        yield from re.findall(r"`([^`]+)`", " ".join(paragraph.split()))


def run_python(blocks: list[Block]) -> None:
    """Run blocks in one namespace, from top to bottom: sessions as doctests, the others as scripts.

    In a session's output one white space is as good as another, so that long lines can be wrapped.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        if ">>> " in block.code:
            _run_session(block, space)
        else:
            exec(compile("\n" * block.line + block.code, block.page, "exec"), space)


def _run_session(block: Block, space: dict[str, Any]) -> None:
    session = doctest.DocTestParser().get_doctest(block.code, {}, block.page, block.page, block.line)
    session.globs = space
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(session, out=report.append, clear_globs=False)
    assert not report, "".join(report)
