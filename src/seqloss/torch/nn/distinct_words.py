"""The distinct words of a batch as numbers of characters, and the place of each word among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from seqloss.errors import DataError, DTypeError, ShapeError, wrong_dtype

PADDING, START, END, UNKNOWN = range(4)
"""Numbers of what is no character of the alphabet; its first character is number 4."""

SHORTEST_BLOCK = 8
"""Characters. Further blocks are twice as long, so that one long word does not pad the others to its length."""


class DistinctWords(NamedTuple):
    """The distinct words of a batch, ready for `CharacterWordEncoder`; made by its `prepare`.

    Attributes:
        characters: blocks of words of similar length, each int64 (words, characters) with 1 before a word, 2 after it,
            and padded with 0.
        places: of each word of the batch among the words of all blocks, from 1, int64 (words,) or (rows, words); 0 in
            the padding of rows.

    Example:
        >>> from seqloss.torch.nn import CharacterWordEncoder
        >>> encoder = CharacterWordEncoder("abc", filters={1: 4})
        >>> words = encoder.prepare(["ab", "c", "ab"])
        >>> words.places.tolist()  # of two distinct words, the shorter one first
        [2, 1, 2]
    """

    characters: tuple[Tensor, ...]
    places: Tensor

    def to(self, device: Any, **options: Any) -> DistinctWords:
        """The same on a device."""
        blocks = tuple(block.to(device, **options) for block in self.characters)
        return DistinctWords(blocks, self.places.to(device, **options))

    def pin_memory(self) -> DistinctWords:
        """The same in pinned memory, for a DataLoader."""
        return DistinctWords(tuple(block.pin_memory() for block in self.characters), self.places.pin_memory())


def find_distinct_words(
    words: Sequence[str] | Sequence[Sequence[str]], numbers: Mapping[str, int], *, share_unknown: bool
) -> DistinctWords:
    """The distinct words of a batch, by the numbers of their characters.

    Args:
        words: a list of words, or of rows of words.
        numbers: character -> its number.
        share_unknown: whether a character without a number is read as `UNKNOWN`.

    Raises:
        DataError: a character without a number, unless they are shared.
        ShapeError: words beside rows of words.
        DTypeError: a word that is no string.
    """
    rows, nested = check_words(words)
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        for position, word in enumerate(row):
            if not isinstance(word, str):
                raise no_word(f"words[{number}][{position}]", word, "a string")
            if word not in found:
                where = f"words[{number}][{position}]" if nested else f"words[{position}]"
                found[word] = number_characters(word, numbers, where, share_unknown=share_unknown)
    order = sorted(found, key=lambda word: len(found[word]))
    places = {word: place for place, word in enumerate(order, 1)}
    table = _pad([[places[word] for word in row] for row in rows], max(map(len, rows), default=0))
    return DistinctWords(_cut_into_blocks([found[word] for word in order]), table if nested else table[0])


def number_characters(word: str, numbers: Mapping[str, int], where: str, *, share_unknown: bool) -> list[int]:
    """The numbers of the characters of a word, with those of its start and its end.

    Args:
        word: of any length.
        numbers: character -> its number.
        where: the word's place, for the error.
        share_unknown: whether a character without a number is read as `UNKNOWN`.

    Raises:
        DataError: a character without a number, unless they are shared.
    """
    found = [numbers.get(character, UNKNOWN) for character in word]
    if UNKNOWN in found and not share_unknown:
        position = found.index(UNKNOWN)
        raise DataError(
            f"{where} = {word!r}: character {position} is {word[position]!a} (U+{ord(word[position]):04X}), "
            f"expected one of the {len(numbers)} of the encoder; add it to them, or let all others share one vector "
            'with unknown="share".'
        )
    return [START, *found, END]


def check_words(words: Sequence[str] | Sequence[Sequence[str]]) -> tuple[Sequence[Sequence[str]], bool]:
    """Rows of words, and whether the given ones were rows.

    Raises:
        ShapeError: a string alone, or strings beside rows.
        DTypeError: neither words nor rows.
    """
    if isinstance(words, str):
        raise ShapeError(f"words: found the string {words[:20]!r}, expected a list of words, or of rows of words.")
    alone = [isinstance(word, str) for word in words]
    if all(alone) and alone:
        return [cast(Sequence[str], words)], False
    if any(alone):
        raise ShapeError(
            f"words: found a {'word' if alone[0] else 'row'} at 0 and a {'row' if alone[0] else 'word'} at "
            f"{alone.index(not alone[0])}, expected words alone, or rows of words alone."
        )
    for number, row in enumerate(words):
        if not isinstance(row, Iterable) or (isinstance(row, Tensor) and not row.dim()):
            raise no_word(f"words[{number}]", row, "a string, or a row of strings")
    return (cast(Sequence[Sequence[str]], words), True) if len(words) else ([[]], False)


def no_word(where: str, found: object, expected: str) -> DTypeError:
    return wrong_dtype(where, type(found).__name__, expected, "give the words themselves, not their numbers")


def _cut_into_blocks(rows: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
    """Rows, sorted by length, as blocks whose lengths differ by a factor of two at most."""
    blocks, start, limit = [], 0, SHORTEST_BLOCK
    while start < len(rows):
        stop = start
        while stop < len(rows) and len(rows[stop]) <= limit:
            stop += 1
        if stop > start:
            blocks.append(_pad(rows[start:stop], len(rows[stop - 1])))
        start, limit = stop, 2 * limit
    return tuple(blocks)


def _pad(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    """Rows of numbers as a tensor (rows, width), padded with 0."""
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.int64).view(len(rows), width)
