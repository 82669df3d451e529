"""Characters to classes and back.

Class 0 is the blank; character k (from 0, in code point order) is class k + 1. A vocabulary is made once from the
training texts and does not grow: an unknown character is an error, not a new class.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from seqloss.data.atomic_write import write_atomically
from seqloss.errors import DataError


def frames_needed(text: Sequence[Any]) -> int:
    """The smallest number of frames for CTC: one per character, and a blank between repeated characters."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def normalize_text(text: str) -> str:
    """The text in Unicode normal form C, in which texts that look equal are equal."""
    return unicodedata.normalize("NFC", text)


def describe_character(character: str) -> str:
    """The character with its code point and name, for a message: 'a' (U+0061 LATIN SMALL LETTER A)."""
    name = unicodedata.name(character, "no name")
    shown = character if character.isprintable() else ascii(character)[1:-1]
    return f"'{shown}' (U+{ord(character):04X} {name})"


class Vocabulary:
    """The characters of a model, each with its class.

    Args:
        characters: single characters, each once; class 1 is the first.

    Raises:
        DataError: an entry is not a single character, or is repeated.

    Example:
        >>> vocabulary = Vocabulary.from_texts(["abba", "cab"])
        >>> len(vocabulary), vocabulary.encode("cab"), vocabulary.decode([3, 1, 2])
        (4, [3, 1, 2], 'cab')
    """

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = tuple(characters)
        self._classes = {character: k + 1 for k, character in enumerate(self.characters)}
        if len(self._classes) != len(self.characters) or any(len(c) != 1 for c in self.characters):
            raise DataError("a vocabulary is a list of single characters, each once; build it with from_texts.")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Vocabulary:
        """The distinct characters of the texts, in code point order."""
        return cls(sorted({character for text in texts for character in normalize_text(text)}))

    def unknown_characters(self, text: str) -> list[str]:
        """The characters of a text that have no class, each once, in order of appearance."""
        return list(dict.fromkeys(c for c in normalize_text(text) if c not in self._classes))

    def encode(self, text: str, *, known: bool = False) -> list[int]:
        """The classes of the characters of a text.

        Args:
            text: to encode.
            known: omit unknown characters.

        Raises:
            DataError: there is an unknown character, and `known` is False.
        """
        if (unknown := self.unknown_characters(text)) and not known:
            raise DataError(
                f"the vocabulary lacks {', '.join(map(describe_character, unknown))}; correct the text, leave it out, "
                "or train again with a training text that has it."
            )
        return [self._classes[c] for c in normalize_text(text) if c in self._classes]

    def decode(self, classes: Iterable[int]) -> str:
        """The text of classes, without blanks.

        Raises:
            DataError: a class does not exist.
        """
        classes = list(classes)
        for found in classes:
            if not 0 <= found < len(self):
                raise DataError(
                    f"class {found}: expected 0 to {len(self) - 1}; this vocabulary belongs to another model."
                )
        return "".join(self.characters[k - 1] for k in classes if k)

    def to_json(self) -> str:
        """The vocabulary as JSON."""
        return json.dumps({"format": "seqloss vocabulary 1", "characters": list(self.characters)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary from the JSON of `to_json`."""
        try:
            content = json.loads(text)
            characters = content["characters"] if content["format"] == "seqloss vocabulary 1" else None
        except (ValueError, TypeError, KeyError, RecursionError):
            characters = None
        if not isinstance(characters, list) or not all(isinstance(c, str) for c in characters):
            raise DataError("this is not a vocabulary saved by seqloss; use the file in the folder of the run.")
        return cls(characters)

    def save(self, path: Path) -> None:
        """Write the vocabulary to a file, atomically."""
        write_atomically(path, self.to_json() + "\n")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a vocabulary from a file.

        Raises:
            DataError: the file cannot be read, or is not a vocabulary.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot load the vocabulary: {error}") from error

    @property
    def digest(self) -> str:
        """A hash of the characters, the same in every process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def __len__(self) -> int:
        """The number of classes, the blank included."""
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({''.join(self.characters)!r})"
