"""Words and paragraphs of documents, and the split of each document."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from seqloss.counts import format_count
from seqloss.data.words import SPLITS
from seqloss.errors import DataError
from seqloss.recipes.charlm.documents import Document

WORD = re.compile(r"\w+(?:['’]\w+)*|([^\w\s])\1*")
"""A word with its apostrophes, or the same sign any number of times."""

RULER = 3
"""Signs of a word of one sign only; a line of 79 hyphens is no other word than one of 70."""

SHARE = 0.1
"""Of the words, for the test; and as many for validation."""

FEW, PIECES = 20, 100
"""Fewer documents are cut into about so many pieces, each of which is in one split."""


def split_words(text: str) -> list[str]:
    """The words and signs of a text, as they are written, in Unicode's normal form NFC.

    Example:
        >>> split_words("Don't touch -- it's x_1! ------")
        ["Don't", 'touch', '--', "it's", 'x_1', '!', '---']
    """
    found = (
        match[0] if match[1] is None else match[0][:RULER]
        for match in WORD.finditer(unicodedata.normalize("NFC", text))
    )
    return list(found)


def split_paragraphs(text: str) -> list[list[str]]:
    """The words of each paragraph. An empty line ends one; in a text without empty lines, each line is one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    parts = re.split(r"\n[^\S\n]*\n", text)
    parts = text.split("\n") if len(parts) == 1 else parts
    return [words for words in map(split_words, parts) if words]


def split_documents(documents: Sequence[Document]) -> dict[str, list[list[str]]]:
    """The paragraphs of each split, each paragraph once.

    A document is in one split with all its paragraphs. In the order of the SHA-256 of their names, documents are for
    the test as long as it has no more than a tenth of all words, then for validation by the same rule.

    Raises:
        DataError: a split has no words.
    """
    pieces = _cut_into_pieces(_drop_repeated(documents))
    sizes = {name: sum(map(len, paragraphs)) for name, paragraphs in pieces.items()}
    order = sorted(pieces, key=lambda name: hashlib.sha256(f"seqloss {name}".encode()).digest())
    limit, chosen = SHARE * sum(sizes.values()), {"test": 0, "validation": 0}
    splits = {}
    for name in order:
        fits = (split for split in chosen if chosen[split] + sizes[name] <= limit)
        splits[name] = next(fits, "train")
        if splits[name] in chosen:
            chosen[splits[name]] += sizes[name]
    found: dict[str, list[list[str]]] = {
        split: [row for name in pieces if splits[name] == split for row in pieces[name]] for split in SPLITS
    }
    for split, rows in found.items():
        if not rows:
            raise DataError(
                f"the {split} split has no text: found {format_count(len(pieces), 'piece')} of "
                f"{format_count(sum(sizes.values()), 'word')} in all, one of them too large for a tenth of these; give "
                "a longer text, with empty lines between its paragraphs."
            )
    return found


def _drop_repeated(documents: Sequence[Document]) -> list[list[list[str]]]:
    """The paragraphs of each document, without those that stood before."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for document in documents:
        rows = []
        for words in split_paragraphs(document.text):
            if tuple(words) not in seen:
                seen.add(tuple(words))
                rows.append(words)
        found.append(rows)
    return found


def _cut_into_pieces(documents: Sequence[list[list[str]]]) -> dict[str, list[list[str]]]:
    """Documents by number, or their pieces where there are few documents."""
    size = max(1, sum(map(len, documents)) // PIECES)
    pieces = {}
    for number, rows in enumerate(documents):
        step = size if len(documents) < FEW else max(1, len(rows))
        for start in range(0, len(rows), step):
            pieces[f"{number}-{start}"] = rows[start : start + step]
    return pieces
