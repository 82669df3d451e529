"""The embedded words, and which of them train, validate and test.

`words.txt` holds about 2,600 plain English words of 3 to 10 letters, which all occur in the documentation of
free software. Ordered by the SHA-256 of "seqloss " + word, the first 500 are test words, the next 150
validate, the rest train; so a word is in exactly one split, whatever the seed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Literal

from seqloss.errors import unknown_option

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TEST, VALIDATION = 500, 150


@cache
def words() -> tuple[str, ...]:
    """All embedded words, in alphabetical order."""
    return tuple(files("seqloss.data").joinpath("words.txt").read_text(encoding="ascii").split())


@cache
def split_words(split: Split) -> tuple[str, ...]:
    """The words of one split, in the order of their hashes."""
    if split not in SPLITS:
        raise unknown_option("split", split, SPLITS)
    order = sorted(words(), key=lambda word: hashlib.sha256(f"seqloss {word}".encode()).digest())
    test, validation, train = order[:TEST], order[TEST : TEST + VALIDATION], order[TEST + VALIDATION :]
    return tuple({"train": train, "validation": validation, "test": test}[split])
