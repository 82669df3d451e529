"""Copy docs/ to where the site is built from, and adapt what GitHub and the site read differently.

* A link out of docs/ leads to a page of the site: the changelog and CONTRIBUTING.md have theirs, and each file of the
  repository that a page links to gets one in source/. The site then needs no address of the repository.
* ```` ```python keras ```` becomes ```` ```python ````: the second word is read by the tests.
* A picture for light and dark follows the site's switch, and not the system alone.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build/pages"
MOVED = {"CHANGELOG.md": "about/changelog.md", "CONTRIBUTING.md": "contributing/index.md"}
"""Pages outside docs/ that have a place on the site."""

FENCE = re.compile(r"^(```+)\s*(\w*).*$")
TARGET = re.compile(r"(?<=\]\()[^)\s#]+(?=(?:#[^)\s]*)?\))|(?<=(?:src|ref)=\")[^\"#]+")
PICTURE = re.compile(
    r"<picture>\s*<source [^>]*dark[^>]*srcset=\"(?P<dark>[^\"]+)\">\s*"
    r"<img(?P<before>[^>]*) src=\"(?P<light>[^\"]+)\"(?P<after>[^>]*)>\s*</picture>"
)
BOTH = (
    r'<img class="only-light"\g<before> src="\g<light>"\g<after>>'
    r'<img class="only-dark"\g<before> src="\g<dark>"\g<after>>'
)
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown"}
NO_PAGE_OF_THEIR_OWN = {".md", ".json", ".jsonl", ".csv", ".svg", ".png"}
"""Files that are pages, and those that a browser shows as they are."""


def place_of(path: str) -> str:
    """Where the site has a file of the repository: a page's source, or the file itself."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in MOVED:
        return MOVED[path]
    return f"source/{path}" if PurePosixPath(path).suffix in NO_PAGE_OF_THEIR_OWN else f"source/{path}.md"


def linked_file(link: str, page: str) -> str | None:
    """The path from the root of what a link of a page leads to; None for an address."""
    if re.match(r"[a-z]+:", link):
        return None
    return normpath(f"{PurePosixPath(page).parent}/{link}")


def adapt_prose(text: str, page: str, linked: set[str]) -> str:
    """The links of a page, as from its place on the site; what they lead to is added to `linked`."""

    def move(match: re.Match[str]) -> str:
        path = linked_file(match[0], page)
        if path is None:
            return match[0]
        linked.add(path)
        return relpath(place_of(path), str(PurePosixPath(place_of(page)).parent))

    return TARGET.sub(move, PICTURE.sub(BOTH, text))


def adapt_page(text: str, page: str, linked: set[str]) -> str:
    """A page as the site's generator reads it; fenced blocks stay, but for the tests' words after the language."""
    parts: list[str] = []
    prose: list[str] = []
    fence = None
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line)
        if found is None or (fence is not None and found[1] != fence):
            (prose if fence is None else parts).append(line)
            continue
        parts += [adapt_prose("".join(prose), page, linked), f"{found[1]}{found[2]}\n"]
        prose, fence = [], None if fence else found[1]
    return "".join([*parts, adapt_prose("".join(prose), page, linked)])


def source_page(path: str) -> str:
    """A page that shows a file of the repository, or the names in a folder. The search leaves it out."""
    file = ROOT / path
    head = f"{NOT_SEARCHED}# {file.name}\n\n`{path}`\n\n"
    if file.is_dir():
        names = sorted(inside.name for inside in file.iterdir() if inside.name[0] not in "._")
        return head + "".join(f"* `{name}`\n" for name in names)
    text = file.read_text(encoding="utf-8")
    return f"{head}`````{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n`````\n"


def content_of(path: str, linked: set[str]) -> bytes:
    """What the site has of a file of the repository; what it links to is added to `linked`."""
    if path.endswith(".md"):
        head = NOT_SEARCHED if place_of(path).startswith("source/") else ""
        return (head + adapt_page((ROOT / path).read_text(encoding="utf-8"), path, linked)).encode()
    if PurePosixPath(path).suffix in NO_PAGE_OF_THEIR_OWN:
        return (ROOT / path).read_bytes()
    return source_page(path).encode()


def stage() -> None:
    """Write build/pages anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    shutil.copytree(ROOT / "website/assets", PAGES / "assets")
    linked = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")} | set(MOVED)
    done: set[str] = set()
    while missing := linked - done:
        for path in sorted(missing):
            file = PAGES / place_of(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content_of(path, linked))
        done |= missing


if __name__ == "__main__":
    stage()
