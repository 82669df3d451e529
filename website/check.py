"""Check the built site: links, anchors and pictures lead somewhere, nothing is loaded from elsewhere, search works.

Run by `make docs`. Prints what is wrong, one line each, and exits with 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build/site"
LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
}
"""Attributes whose address a browser asks for without a click."""

IN_STYLES = re.compile(r"url\(\s*['\"]?(?:https?:)?//|@import")
LOADED_BY_SCRIPT = re.compile(r"class=\"(?:[^\"]* )?(?:mermaid|glightbox|pyodide)[ \"]|data-md-exec")
"""What makes Zensical's script load a library from another server."""

SESSION_AS_QUOTES = re.compile(r"<blockquote>\s*<blockquote>\s*<blockquote>")
"""What Markdown makes of `>>> ` outside of a block of code."""

LISTED = re.compile(r'"([^"]+\.md)"')
FEWEST_ENTRIES = 200


@dataclass
class Page:
    """What a page of the site points at, and its anchors."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)


class PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" or (tag, name) == ("a", "name"):
                self.page.anchors.add(value or "")
            elif (tag, name) in LOADED:
                self.page.loaded.append(value or "")
            elif (tag, name) == ("a", "href"):
                self.page.links.append(value or "")


@cache
def read_page(file: Path) -> Page:
    reader = PageReader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader.page


def broken(file: Path, link: str) -> str | None:
    """What is wrong with a link of a page, if something is."""
    address = urlsplit(link)
    if address.scheme or address.netloc:
        return None
    path = unquote(address.path)
    # the page that a server sends for addresses that do not exist counts from the site's root
    target = SITE / path[1:] if path.startswith("/") else (file.parent / path).resolve() if path else file
    if not target.is_file():
        return "no such file"
    wanted = unquote(address.fragment)
    if wanted and target.suffix == ".html" and wanted not in read_page(target).anchors:
        return "no such anchor"
    return None


def problems_of(file: Path) -> Iterator[str]:
    page = read_page(file)
    for link in [*page.links, *page.loaded]:
        problem = broken(file, link)
        if problem:
            yield f"{link}: {problem}"
    for address in page.loaded:
        if address.startswith(("http:", "https:", "//")):
            yield f"{address}: is loaded from another server"
    text = file.read_text(encoding="utf-8")
    if SESSION_AS_QUOTES.search(text):
        yield "a Python session is shown as quotations"
    yield from (f"{match[0]}: its library is loaded from another server" for match in LOADED_BY_SCRIPT.finditer(text))


def problems_of_search() -> Iterator[str]:
    entries = json.loads((SITE / "search.json").read_text(encoding="utf-8"))["items"]
    if len(entries) < FEWEST_ENTRIES:
        yield f"{len(entries)} entries, expected {FEWEST_ENTRIES} or more"
    for entry in entries:
        problem = broken(SITE / "index.html", entry["location"])
        if problem:
            yield f"{entry['location']}: {problem}"


def problems_of_navigation() -> Iterator[str]:
    """Every page that is written is listed, and the other way round."""
    listed = set(LISTED.findall((ROOT / "zensical.toml").read_text(encoding="utf-8")))
    written = {page.relative_to(SITE).with_suffix(".md").as_posix() for page in SITE.rglob("*.html")} - {"404.md"}
    written = {page for page in written if not page.startswith("source/")}
    yield from (f"{page}: not in the navigation" for page in sorted(written - listed))
    yield from (f"{page}: in the navigation, and not built" for page in sorted(listed - written))


def problems() -> Iterator[str]:
    for file in sorted(SITE.rglob("*.html")):
        yield from (f"{file.relative_to(SITE)}: {problem}" for problem in problems_of(file))
    for file in sorted(SITE.rglob("*.css")):
        if IN_STYLES.search(file.read_text(encoding="utf-8")):
            yield f"{file.relative_to(SITE)}: loads from another server"
    yield from (f"search: {problem}" for problem in problems_of_search())
    yield from (f"zensical.toml: {problem}" for problem in problems_of_navigation())


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
