"""The project's pages, taken apart: fenced blocks, inline code, links and headings."""

from __future__ import annotations

import doctest
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.page_output import missing_part

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
"""Every page, as a path from the root."""

LANGUAGES = {"python", "python keras", "bash", "output", "text", "json"}
"""`python keras` runs once for each Keras backend. `output` is what the Python or the commands above it print; `text`
is a formula, a folder or a citation, which nothing prints."""

FENCE = re.compile(r"^```(.*)$")
MARKER = re.compile(r"^<!-- not executed: (\S.*) -->$")
"""Stands on the line above a block that the tests of pages do not execute, and says why, or which test does."""

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


def shown_on(page: str, words: str) -> str:
    """The output on a page that has these words."""
    (found,) = (block.code for block in blocks_of(page) if block.language == "output" and words in block.code)
    return found


def assert_shown(page: str, words: str, printed: str, *, exactly: bool = False) -> None:
    """A program printed the output on a page that has these words: see `missing_part`."""
    missing = missing_part(shown_on(page, words), printed, exactly=exactly)
    assert missing is None, f"{page}: {missing}"


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


def python_blocks(page: str, language: str = "python") -> list[Block]:
    """The blocks of Python that are executed, and those that show what they print."""
    found, printed = [], False
    for block in blocks_of(page):
        if block.language != "output":
            printed = block.language == language and block.reason is None
        if printed and block.reason is None:
            found.append(block)
    return found


def run_python(blocks: list[Block]) -> None:
    """Run blocks in one namespace, from top to bottom: sessions as doctests, the others as scripts.

    What the scripts print is what the blocks of output below them show. In output one white space is as good as
    another, so that long lines can be wrapped.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks:
        if block.language == "output":
            missing = missing_part(block.code, printed, exactly=True)
            assert missing is None, f"{block.place}: {missing}"
        elif ">>> " in block.code:
            _run_session(block, space)
        else:
            with redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * block.line + block.code, block.page, "exec"), space)
            printed = out.getvalue()


def _run_session(block: Block, space: dict[str, Any]) -> None:
    session = doctest.DocTestParser().get_doctest(block.code, {}, block.page, block.page, block.line)
    session.globs = space
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(session, out=report.append, clear_globs=False)
    assert not report, "".join(report)
