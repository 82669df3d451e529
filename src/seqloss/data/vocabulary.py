"""Characters, words or phones to classes and back.

Class 0 is the blank; symbol k (from 0, in code point order) is class k + 1. A vocabulary is made once from the training
texts and does not grow: an unknown symbol is an error, not a new class.
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
from seqloss.data.texts import NORMALIZATIONS, normalize_text
from seqloss.errors import DataError


def frames_needed(text: Sequence[Any]) -> int:
    """The smallest number of frames for CTC: one per character, and a blank between repeated characters."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def describe_character(character: str) -> str:
    """The character with its code point and name, for a message: 'a' (U+0061 LATIN SMALL LETTER A); a word as it is."""
    if len(character) != 1:
        return repr(character)
    name = unicodedata.name(character, "no name")
    shown = character if character.isprintable() else ascii(character)[1:-1]
    return f"'{shown}' (U+{ord(character):04X} {name})"


UNITS = ("characters", "words", "phones")
"""What a symbol is; words and phones are separated by spaces."""


class Vocabulary:
    """The characters of a model, or its words or phones, each with its class.

    Args:
        characters: single characters (or words or phones), each once; class 1 is the first.
        normalization: the Unicode normal form that texts are encoded in: "NFC", "NFKC" or "none".
        unit: "characters", "words" or "phones".

    Raises:
        DataError: an entry is not a single character, or is repeated.

    Example:
        >>> vocabulary = Vocabulary.from_texts(["abba", "cab"])
        >>> len(vocabulary), vocabulary.encode("cab"), vocabulary.decode([3, 1, 2])
        (4, [3, 1, 2], 'cab')
    """

    def __init__(self, characters: Iterable[str], normalization: str = "NFC", unit: str = "characters") -> None:
        self.characters, self.normalization, self.unit = tuple(characters), normalization, unit
        self._classes = {character: k + 1 for k, character in enumerate(self.characters)}
        single = unit != "characters" or all(len(c) == 1 for c in self.characters)
        if len(self._classes) != len(self.characters) or not single:
            raise DataError("a vocabulary is a list of single characters, each once; build it with from_texts.")

    @classmethod
    def from_texts(cls, texts: Iterable[str], normalization: str = "NFC", unit: str = "characters") -> Vocabulary:
        """The distinct symbols of the texts in a normal form, in code point order."""
        empty = cls((), normalization, unit)
        return cls(sorted({symbol for text in texts for symbol in empty.split(text)}), normalization, unit)

    def split(self, text: str) -> list[str]:
        """The symbols of a text, in the normal form."""
        text = self.normalize(text)
        return list(text) if self.unit == "characters" else text.split()

    def join(self, symbols: Iterable[str]) -> str:
        """The text of symbols."""
        return ("" if self.unit == "characters" else " ").join(symbols)

    def normalize(self, text: str) -> str:
        """The text in the normal form of this vocabulary."""
        return normalize_text(text, self.normalization)

    def unknown_characters(self, text: str) -> list[str]:
        """The symbols of a text that have no class, each once, in order of appearance."""
        return list(dict.fromkeys(c for c in self.split(text) if c not in self._classes))

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
        return [self._classes[c] for c in self.split(text) if c in self._classes]

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
        return self.join(self.characters[k - 1] for k in classes if k)

    def to_json(self) -> str:
        """The vocabulary as JSON. Normal form and unit are left out where they are NFC and characters."""
        form = {} if self.normalization == "NFC" else {"normalization": self.normalization}
        form |= {} if self.unit == "characters" else {"unit": self.unit}
        content = {"format": "seqloss vocabulary 1", **form, "characters": list(self.characters)}
        return json.dumps(content, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary from the JSON of `to_json`."""
        try:
            content = json.loads(text)
            characters = content["characters"] if content["format"] == "seqloss vocabulary 1" else None
            form, unit = content.get("normalization", "NFC"), content.get("unit", "characters")
        except (ValueError, TypeError, KeyError, RecursionError):
            characters = form = unit = None
        strings = isinstance(characters, list) and all(isinstance(c, str) for c in characters)
        if characters is None or not strings or form not in NORMALIZATIONS or unit not in UNITS:
            raise DataError("this is not a vocabulary saved by seqloss; use the file in the folder of the run.")
        return cls(characters, form, unit)

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
        """A hash of the characters and the normal form, the same in every process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def __len__(self) -> int:
        """The number of classes, the blank included."""
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.characters, self.normalization, self.unit

    def __repr__(self) -> str:
        return f"Vocabulary({self.join(self.characters)!r})"
