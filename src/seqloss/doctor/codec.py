"""Text to ids and back, by whatever a training has for it: a vocabulary, a tokenizer, a pair of functions.

Imports no framework: a second process encodes texts with it too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqloss.data.vocabulary import Vocabulary

Decode = Callable[[Sequence[Sequence[int]]], Sequence[str]]


def is_factory(vocabulary: Any) -> bool:
    """Whether it is a function without arguments that makes a vocabulary."""
    if not callable(vocabulary) or hasattr(vocabulary, "encode"):
        return False
    try:
        parameters = inspect.signature(vocabulary).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters)


class Codec:
    """Encodes and decodes texts.

    Args:
        vocabulary: a `Vocabulary`, an object with encode and decode, a pair (encode, decode), or a function that makes
            one.
        decode: of several rows, in place of the vocabulary's own.
    """

    def __init__(self, vocabulary: Any, decode: Decode | None = None) -> None:
        self.vocabulary = vocabulary() if is_factory(vocabulary) else vocabulary
        self._decode = decode

    def encode(self, text: str) -> list[int]:
        """The ids of a text. A `Vocabulary` omits unknown symbols, as recipes do."""
        if isinstance(self.vocabulary, Vocabulary):
            return self.vocabulary.encode(text, known=True)
        if isinstance(self.vocabulary, tuple):
            return _ids(self.vocabulary[0](text))
        return _ids(self.vocabulary.encode(text) if hasattr(self.vocabulary, "encode") else self.vocabulary(text))

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The texts of rows of ids."""
        if self._decode is not None:
            return list(self._decode(rows))
        return [self._decode_row(list(row)) for row in rows]

    def _decode_row(self, row: list[int]) -> str:
        if isinstance(self.vocabulary, tuple):
            return _text(self.vocabulary[1](row))
        if hasattr(self.vocabulary, "all_special_ids"):  # of transformers; that of CTC would merge equal letters
            options: dict[str, Any] = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
            if hasattr(self.vocabulary, "word_delimiter_token"):
                options["group_tokens"] = False
            return _text(self.vocabulary.decode(row, **options))
        return _text(self.vocabulary.decode(row))

    def unknown_symbols(self, text: str) -> list[str]:
        """The symbols of a text that a `Vocabulary` lacks; of other kinds, as often as ids of the unknown token."""
        if isinstance(self.vocabulary, Vocabulary):
            missing = set(self.vocabulary.unknown_characters(text))
            return [symbol for symbol in self.vocabulary.split(text) if symbol in missing]
        unknown = self.token("unk")
        return [] if unknown is None else ["unknown"] * self.encode(text).count(unknown)

    def count_symbols(self, text: str) -> int:
        """The symbols of a text, unknown ones included."""
        return len(self.vocabulary.split(text) if isinstance(self.vocabulary, Vocabulary) else self.encode(text))

    def normalize(self, text: str) -> str:
        """The text in the form that the vocabulary itself is declared to have."""
        return self.vocabulary.normalize(text) if isinstance(self.vocabulary, Vocabulary) else text

    def token(self, kind: str) -> int | None:
        """The id of a special token: unk, bos, eos, pad, cls; None if there is none, or it is not known."""
        found = getattr(self.vocabulary, f"{kind}_token_id", None)
        if found is None:
            found = getattr(self.vocabulary, f"{kind}_id", None)
            found = found() if callable(found) else found
        return found if isinstance(found, int) and found >= 0 else None

    @property
    def size(self) -> int | None:
        """The number of ids, as far as the vocabulary says; those of a `Vocabulary` include the blank."""
        if isinstance(self.vocabulary, tuple):
            return None
        if hasattr(self.vocabulary, "__len__"):
            return len(self.vocabulary)
        for name in ("get_vocab_size", "vocab_size"):
            found = getattr(self.vocabulary, name, None)
            found = found() if callable(found) else found
            if isinstance(found, int):
                return found
        return None


def _ids(found: Any) -> list[int]:
    if isinstance(found, Mapping):
        found = found["input_ids"]
    found = getattr(found, "ids", found)
    found = found.tolist() if hasattr(found, "tolist") else list(found)
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return [int(one) for one in found]


def _text(found: Any) -> str:
    return found if isinstance(found, str) else "".join(map(str, found))
