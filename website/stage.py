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
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown"}
SHOWN_AS_THEY_ARE = {".json", ".jsonl", ".csv", ".svg", ".png"}


def place_of(path: str) -> str:
    """Where the site has a file of the repository: a page's source, or the file itself."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in MOVED:
        return MOVED[path]
    as_it_is = PurePosixPath(path).suffix in SHOWN_AS_THEY_ARE
    return f"source/{path}" if as_it_is else f"source/{path}.md"


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
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {file.name}\n\n`{path}`\n\n"
    if file.is_dir():
        return head + "".join(
            f"* `{name}`\n" for name in sorted(f.name for f in file.iterdir() if f.name[0] not in "._")
        )
    text = file.read_text(encoding="utf-8")
    return f"{head}`````{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n`````\n"


def write(path: str, content: str | bytes) -> None:
    file = PAGES / place_of(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def stage() -> None:
    """Write build/pages anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    shutil.copytree(ROOT / "website/assets", PAGES / "assets")
    linked: set[str] = set()
    for page in [*(file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").rglob("*.md")), *MOVED]:
        write(page, adapt_page((ROOT / page).read_text(encoding="utf-8"), page, linked))
    for path in sorted(linked):
        if path.startswith("docs/") or path in MOVED:
            continue
        as_it_is = not place_of(path).endswith(".md")
        write(path, (ROOT / path).read_bytes() if as_it_is else source_page(path))


if __name__ == "__main__":
    stage()
