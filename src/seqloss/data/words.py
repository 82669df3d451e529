"""The embedded words, split into training, validation and test words.

`words.txt` has about 2,600 English words of 3 to 10 letters, all from the documentation of free software. Ordered by
the SHA-256 of "seqloss " + word, the first 500 are test words, the next 150 validation words, and the rest training
words. So each word is in exactly one split, for every seed.
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
def load_words() -> tuple[str, ...]:
    """All embedded words, in alphabetical order."""
    return tuple(files("seqloss.data").joinpath("words.txt").read_text(encoding="ascii").split())


@cache
def split_words(split: Split) -> tuple[str, ...]:
    """The words of one split, in the order of their hashes.

    Args:
        split: "train", "validation" or "test".

    Returns:
        The words of the split, each in this split only.

    Raises:
        OptionError: there is no split of that name.

    Example:
        >>> from seqloss.data import split_words
        >>> [len(split_words(split)) for split in ("validation", "test")]
        [150, 500]
    """
    if split not in SPLITS:
        raise unknown_option("split", split, SPLITS)
    order = sorted(load_words(), key=lambda word: hashlib.sha256(f"seqloss {word}".encode()).digest())
    test, validation, train = order[:TEST], order[TEST : TEST + VALIDATION], order[TEST + VALIDATION :]
    return tuple({"train": train, "validation": validation, "test": test}[split])
