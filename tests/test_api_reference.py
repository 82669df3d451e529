"""The pages of docs/api have every public name once, and each name with what its docstring says."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from tests.pages import ROOT, read_page
from tests.public_api import INTERNAL_MODULES, PUBLIC_MODULES, SOURCE, listed, parse, public_names

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

API = [f"docs/api/{page.name}" for page in sorted((ROOT / "docs/api").glob("*.md"))]
INDEX = "docs/api/index.md"
PUBLIC = {found.path: found for found in public_names()}
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
"""The site has the docstring of the name there."""

MODULE = re.compile(r"^(?:.+, in|In) `(seqloss[\w.]*)`:$")
"""Stands above a table."""

ROW = re.compile(r"^\| \[`(\w+)`\]\(([^)]*)\) \| (.+) \| \[([^]]*)\]\(([^)]+)\) \|$")


@dataclass(frozen=True)
class Row:
    """The row of a name in a table: where its docstring is, what it is for, and its source."""

    page: str
    name: str
    link: str
    words: str
    source: str


def rows() -> Iterator[Row]:
    for page in API:
        module = ""
        for line in read_page(page).splitlines():
            if above := MODULE.match(line):
                module = above[1]
            elif row := ROW.match(line):
                name, link, words, _, source = row.groups()
                yield Row(page, f"{module}.{name}", link, words, source)


ROWS = {row.name: row for row in rows()}
DIRECTIVES = {name: page for page in API for name in DIRECTIVE.findall(read_page(page))}


def modules_with_a_list() -> set[str]:
    files = [file.relative_to(SOURCE.parent) for file in SOURCE.rglob("*.py")]
    names = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}
    return {name for name in names if listed(parse(name))}


def test_every_module_with_a_list_is_public_or_says_why_not() -> None:
    assert modules_with_a_list() == {*PUBLIC_MODULES, *INTERNAL_MODULES}


def test_every_public_name_has_one_row() -> None:
    assert Counter(row.name for row in rows()) == Counter(list(PUBLIC))


def test_every_object_has_its_docstring_once() -> None:
    named = [name for page in API for name in DIRECTIVE.findall(read_page(page))]
    assert [name for name in named if name not in PUBLIC] == []
    assert Counter(PUBLIC[name].definition for name in named) == Counter({one.definition for one in PUBLIC.values()})


@pytest.mark.parametrize("name", PUBLIC)
def test_a_row_leads_to_the_docstring_and_to_the_source(name: str) -> None:
    row, found = ROWS[name], PUBLIC[name]
    page, _, anchor = row.link.partition("#")
    assert PUBLIC[anchor].definition == found.definition
    assert DIRECTIVES[anchor] == (f"docs/api/{page}" if page else row.page)
    assert (ROOT / row.page).parent.joinpath(row.source).resolve() == found.source


@pytest.mark.parametrize("name", PUBLIC)
def test_a_row_says_what_the_docstring_says(name: str) -> None:
    anchor = ROWS[name].link.partition("#")[2]
    expected = " ".join(PUBLIC[name].summary.split()) if anchor == name else f"the same as `{anchor}`"
    assert ROWS[name].words == expected.replace("|", "\\|")


def test_the_index_lists_every_page_and_every_docstring() -> None:
    links = re.findall(r"\]\(([\w-]+\.md)(?:#([\w.]+))?\)", read_page(INDEX))
    assert {page for page, _ in links} == {PurePosixPath(page).name for page in API if page != INDEX}
    assert {anchor for _, anchor in links if anchor} == set(DIRECTIVES)
    assert [(page, anchor) for page, anchor in links if anchor and DIRECTIVES[anchor] != f"docs/api/{page}"] == []
