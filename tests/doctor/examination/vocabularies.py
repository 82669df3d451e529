"""Vocabularies that a second process can import without a framework."""

from __future__ import annotations

from collections.abc import Sequence

LETTERS = "abcdefghij"


class Letters:
    """A letter each, from 1 on; 0 is the blank."""

    def __init__(self, letters: Sequence[str]) -> None:
        self.letters = list(letters)

    def encode(self, text: str) -> list[int]:
        return [self.letters.index(letter) + 1 for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.letters[one - 1] for one in ids if one)


def sorted_letters() -> Letters:
    return Letters(sorted(set(LETTERS)))


def letters_of_a_set() -> Letters:
    return Letters(list(set(LETTERS)))


class Hashed(Letters):
    """Ids are hashes, which Python makes differently in each process."""

    def encode(self, text: str) -> list[int]:
        return [1 + hash(letter) % 1000 for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join({1 + hash(letter) % 1000: letter for letter in self.letters}[one] for one in ids)


class Tokens(Letters):
    """Like a tokenizer with a begin token, an unknown one and padding."""

    bos_token_id, unk_token_id, pad_token_id = 20, 21, 22

    def encode(self, text: str) -> list[int]:
        known = [self.letters.index(letter) + 1 if letter in self.letters else 21 for letter in text]
        return [20, *known]

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode([one for one in ids if one < 20])
