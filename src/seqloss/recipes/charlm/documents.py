"""Documents of a text file, of a folder, or of Python itself."""

from __future__ import annotations

import platform
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqloss.counts import format_count
from seqloss.data.tables import read_text
from seqloss.errors import BadRow, DataError

ENDINGS = (".txt", ".rst", ".md")

NO_PROSE = {
    *("test", "tests", "idle_test", "site-packages", "dist-packages"),
    *("idlelib", "lib2to3", "turtledemo", "distutils", "ensurepip", "encodings", "pydoc_data"),
}
"""Folders of the standard library that other systems leave out, or that have little text."""

DOCSTRING = re.compile(r'(?:\A(?:#[^\n]*\n|\s)*|:[ \t]*\n\s*)[rRuU]?"""(.*?)"""', re.DOTALL)
"""Triple quotes at the beginning of a module, or below a line with a colon: 30 times as fast as parsing the code."""


class Document(NamedTuple):
    """A text whose paragraphs belong together.

    Attributes:
        name: for messages.
        text: of any length.
    """

    name: str
    text: str


def read_documents(data: str | None) -> tuple[list[Document], list[BadRow], str]:
    """The documents in a fixed order, files that cannot be read, and a line on where they are from.

    Raises:
        DataError: there is no such file or folder, or no text in the folder.
    """
    if data is None:
        found = [*read_help_pages(), *read_docstrings()]
        return found, [], f"text: docstrings and help pages of Python {platform.python_version()}"
    path = Path(data)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give a text file, or a folder of {', '.join(ENDINGS)} files.")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS)
    if not files:
        raise DataError(f"{path}: no text; expected files whose names end in {', '.join(ENDINGS)}.")
    documents, bad = [], []
    for file in files:
        try:
            documents.append(Document(str(file), read_words(file)))
        except DataError as problem:
            bad.append(BadRow(str(file), None, str(problem).removeprefix(f"{file}: ")))
    return documents, bad, f"text: {format_count(len(files), 'file')} of {path}"


def read_words(file: Path) -> str:
    """A text in UTF-8 with at least one word.

    Raises:
        DataError: the file is no such text.
    """
    text = read_text(file)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{file}: not a text (a zero byte in line {line}); leave it out, or save it as UTF-8.")
    if not re.search(r"\w", text):
        raise DataError(f"{file}: found no word; leave it out.")
    return text


def read_help_pages() -> Iterator[Document]:
    """Python's language reference, as help() shows it: paragraphs of prose only."""
    from pydoc_data.topics import topics

    for name, text in sorted(topics.items()):
        yield Document(f"help: {name}", keep_prose(text))


def read_docstrings() -> Iterator[Document]:
    """One document for each module or package of the standard library: its docstrings, paragraphs of prose only."""
    root = Path(sysconfig.get_path("stdlib"))
    for top in sorted(root.iterdir()):
        if top.name in NO_PROSE or not (top.suffix == ".py" or (top / "__init__.py").is_file()):
            continue
        files = [top] if top.is_file() else sorted(top.rglob("*.py"))
        kept = [file for file in files if not NO_PROSE & set(file.relative_to(root).parts[:-1])]
        texts = (
            text for file in kept for text in DOCSTRING.findall(file.read_text(encoding="utf-8", errors="replace"))
        )
        found = keep_prose("\n\n".join(texts))
        if found:
            yield Document(f"docstrings: {top.stem}", found)


def keep_prose(text: str) -> str:
    """The paragraphs of four words or more of which few pieces are other characters than letters."""
    return "\n\n".join(paragraph for paragraph in re.split(r"\n\s*\n", text) if _is_prose(paragraph))


def _is_prose(paragraph: str) -> bool:
    pieces = re.findall(r"\w+|[^\w\s]", paragraph)
    words = sum(piece[0].isalpha() for piece in pieces)
    return words >= 4 and words >= 0.7 * len(pieces) and ">>>" not in paragraph
