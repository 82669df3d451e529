"""What the pages point at exists: links, anchors, files, names of seqloss, environment variables. Lines are short."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks_of, inline_code, prose_of, read_page

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

LONGEST_LINE = 120
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|json|jsonl|csv|html|svg|png|txt|toml))")
NAME = re.compile(r"(seqloss(?:\.\w+)+)(?:\(.*\))?")
FOLDERS = ("", "src/seqloss", "src/seqloss/kernels", "src/seqloss/numpy", "tests")
"""What a path may be counted from."""

OF_THE_READER = {
    "labels.csv", "manifest.csv", "manifest.jsonl", "RUN/report.html", "RUN/skipped.csv", "RUN/logs", "history.json",
    "RUN/findings.json", "findings.json", "mine.py", "metadata.csv", "RUN/settings.json", "RUN/vocabulary.json",
    "RUN/features.json", "RUN/table.json", "RUN/checkpoints/last.ckpt", "RUN/checkpoints/best.ckpt", "RUN/history.json",
    "RUN/result.json",
}  # fmt: skip
"""Files that are the reader's own, or that a run writes."""


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings, and those of docstrings on the site."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    docstrings = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    return set(docstrings) | {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_somewhere(page: str) -> None:
    for link in (first or second for first, second in LINK.findall(prose_of(page))):
        if link.startswith(("http:", "https:")):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), f"{page}: {link}: no such file"
        assert not anchor or anchor in anchors_of(file), f"{page}: {link}: no such heading"


@cache
def file_names() -> set[str]:
    folders = ("src", "tests", "benchmarks", "docs")
    return {file.name for folder in folders for file in (ROOT / folder).rglob("*.*")} | {f.name for f in ROOT.glob("*")}


def exists(path: str) -> bool:
    bare = "/" not in path and path in file_names()
    return bare or any((ROOT / folder / path).exists() for folder in FOLDERS)


# the files that are named in data.md are the reader's
@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/guides/data.md"])
def test_a_file_that_is_named_exists(page: str) -> None:
    named = [code.partition(":")[0] for code in inline_code(page)]
    paths = [code for code in named if PATH.fullmatch(code) and code not in OF_THE_READER]
    assert [path for path in paths if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_tree_of_folders_is_that_of_the_repository(page: str) -> None:
    trees = [block for block in blocks_of(page) if block.language == "text" and block.code.startswith("src/seqloss/\n")]
    for tree in trees:
        assert [path for path in tree_paths(tree.code) if not (ROOT / path).exists()] == []


def tree_paths(tree: str) -> Iterator[str]:
    """The paths of a tree that is drawn by indentation: two spaces a level, names before two spaces and a comment."""
    above: list[str] = []
    for line in filter(str.strip, tree.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"  +", line.strip())[0].split()
        if not all(PATH.fullmatch(name) for name in names):
            continue  # a comment goes on
        yield from ("".join([*above[:depth], name]) for name in names)
        above[depth:] = [names[-1]]


def inline_names(page: str) -> Iterator[str]:
    """Dotted names of seqloss, without what a call is given."""
    for code in inline_code(page):
        name = NAME.fullmatch(code)
        if name:
            yield name.group(1)


def resolve(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


@pytest.mark.parametrize("page", PAGES)
def test_a_name_of_seqloss_exists(page: str) -> None:
    names = [name for name in inline_names(page) if not name.startswith("seqloss.keras")]
    assert [name for name in names if not resolve(name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_an_environment_variable_is_read_somewhere(page: str) -> None:
    folders = ("src", "tests", "benchmarks")
    sources = [file.read_text(encoding="utf-8") for folder in folders for file in (ROOT / folder).rglob("*.py")]
    for name in set(re.findall(r"\bSEQLOSS_[A-Z_]+\b", read_page(page))):
        assert any(name in source for source in sources), f"{page}: nothing reads {name}"


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short_but_for_tables(page: str) -> None:
    lines = enumerate(read_page(page).splitlines(), 1)
    assert [number for number, line in lines if len(line) > LONGEST_LINE and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES)
def test_code_is_in_fenced_blocks(page: str) -> None:
    """Indented blocks have no language, and would not be checked."""
    assert [line for line in prose_of(page).splitlines() if line.startswith("    ")] == []
