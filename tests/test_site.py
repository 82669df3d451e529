"""The site is built from pages whose links fit it, and what is wrong with a built site is found. No site is built."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.pages import DOCS, ROOT, prose_of

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

PAGE = "docs/guides/page.md"


@pytest.fixture(scope="module")
def website() -> Iterator[dict[str, ModuleType]]:
    """The scripts of `make docs`."""
    sys.path.insert(0, str(ROOT / "website"))
    import build
    import check
    import stage

    yield {"build": build, "check": check, "stage": stage}
    sys.path.remove(str(ROOT / "website"))
    for name in ("build", "check", "stage"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[a](../design.md#layout)", "[a](../design.md#layout)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("[a](../../CHANGELOG.md#losses)", "[a](../about/changelog.md#losses)"),
        ("[a](../../CONTRIBUTING.md)", "[a](../contributing/index.md)"),
        ("[a](../../src/seqloss/errors.py)", "[a](../source/src/seqloss/errors.py.md)"),
        ("[a](../../benchmarks/results/ctc.json)", "[a](../source/benchmarks/results/ctc.json)"),
        ("[a](../../README.md#speed)", "[a](../source/README.md#speed)"),
        ('<img src="../img/a.png">', '<img src="../img/a.png">'),
        ("```python keras\n[a](../../LICENSE)\n```\n", "```python\n[a](../../LICENSE)\n```\n"),
    ],
)
def test_links_and_fences_fit_the_site(website: dict[str, ModuleType], written: str, read: str) -> None:
    assert website["stage"].adapt_page(written, PAGE, set()) == read


def test_links_of_a_page_that_is_moved_count_from_its_place(website: dict[str, ModuleType]) -> None:
    adapted = website["stage"].adapt_page("[a](docs/guides/losses.md)", "CHANGELOG.md", set())
    assert adapted == "[a](../guides/losses.md)"


def test_a_picture_for_light_and_dark_follows_the_switch(website: dict[str, ModuleType]) -> None:
    written = '<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="d.svg">\n  <img alt="x" src="l.svg">\n'
    adapted = website["stage"].adapt_page(f"{written}</picture>\n", PAGE, set())
    assert re.findall(r'class="(\S+)" alt="x" src="(\S+)"', adapted) == [
        ("only-light", "l.svg"),
        ("only-dark", "d.svg"),
    ]


@pytest.mark.parametrize("page", DOCS)
def test_no_picture_is_left_as_it_is(website: dict[str, ModuleType], page: str) -> None:
    assert "<picture>" not in website["stage"].adapt_page(prose_of(page), page, set())


@pytest.mark.parametrize("page", DOCS)
def test_lists_and_tables_start_after_an_empty_line(page: str) -> None:
    """Elsewhere GitHub shows a list, and the site the text of one."""
    start = re.compile(r"^(?!(?:[*-] |\d+\. |\|| ).*\n).+\n(?:[*-] |\d+\. |\|)", re.MULTILINE)
    assert start.findall(prose_of(page)) == []


def test_the_page_of_a_source_file_shows_it_and_is_left_out_of_the_search(website: dict[str, ModuleType]) -> None:
    shown = website["stage"].source_page("website/stage.py")
    assert (ROOT / "website/stage.py").read_text(encoding="utf-8") in shown
    assert shown.startswith("---\nsearch:\n  exclude: true\n---\n")


@pytest.mark.parametrize(
    "line", ["griffe: src/a.py:1: No type or annotation for parameter 'x'", "Warning: page not found"]
)
def test_a_warning_of_the_build_is_not_expected(website: dict[str, ModuleType], line: str) -> None:
    assert website["build"].EXPECTED.fullmatch(line) is None
    assert website["build"].EXPECTED.fullmatch("Build finished in 5.21s")


BREAKS: dict[str, tuple[Callable[[str], str], str]] = {
    "link": (lambda page: page + '<a href="none.html">x</a>', "none.html: no such file"),
    "anchor": (lambda page: page + '<a href="#none">x</a>', "#none: no such anchor"),
    "picture": (lambda page: page + '<img src="none.png">', "none.png: no such file"),
    "font": (lambda page: page + '<link href="https://fonts.example/x.css">', "is loaded from another server"),
    "script": (lambda page: page + '<script src="//cdn.example/x.js"></script>', "is loaded from another server"),
    "session": (lambda page: page + 3 * "<blockquote>\n", "a Python session is shown as quotations"),
    "library": (lambda page: page + '<pre class="mermaid"></pre>', "its library is loaded from another server"),
}


@pytest.fixture
def site(tmp_path: Path, website: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of one sound page, listed in a navigation, with its search."""
    monkeypatch.setattr(website["check"], "SITE", tmp_path)
    monkeypatch.setattr(website["check"], "ROOT", tmp_path)
    monkeypatch.setattr(website["check"], "FEWEST_ENTRIES", 1)
    website["check"].read_page.cache_clear()
    (tmp_path / "index.html").write_text('<h1 id="a">A</h1><a href="#a">a</a><a href="/index.html">b</a>')
    (tmp_path / "search.json").write_text(json.dumps({"items": [{"location": "index.html#a"}]}))
    (tmp_path / "zensical.toml").write_text('nav = ["index.md"]')
    return tmp_path


def test_a_sound_site_has_no_problems(website: dict[str, ModuleType], site: Path) -> None:
    assert list(website["check"].problems()) == []


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_wrong_with_a_page_is_found(website: dict[str, ModuleType], site: Path, what: str) -> None:
    change, problem = BREAKS[what]
    page = site / "index.html"
    page.write_text(change(page.read_text()))
    assert any(problem in found for found in website["check"].problems())


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("other.html", "<p>x</p>", "other.md: not in the navigation"),
        ("zensical.toml", 'nav = ["index.md", "other.md"]', "other.md: in the navigation, and not built"),
        ("search.json", '{"items": []}', "0 entries, expected 1 or more"),
        ("search.json", '{"items": [{"location": "index.html#none"}]}', "index.html#none: no such anchor"),
        ("a.css", "a { background: url(https://example.org/a.png) }", "a.css: loads from another server"),
    ],
)
def test_what_is_wrong_with_a_file_is_found(
    website: dict[str, ModuleType], site: Path, file: str, content: str, problem: str
) -> None:
    (site / file).write_text(content)
    assert any(problem in found for found in website["check"].problems())


def test_the_navigation_lists_every_page() -> None:
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    listed = re.findall(r"'([^']+\.md)'", str(project["nav"]))
    assert len(listed) == len(set(listed))
    elsewhere = {"about/changelog.md", "contributing/index.md"}
    assert set(listed) - elsewhere == {page.removeprefix("docs/") for page in DOCS}
