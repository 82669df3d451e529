"""Words with their stems, and the words of each split: a stem is in one split with all its words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from seqloss.counts import format_count
from seqloss.data import Vocabulary
from seqloss.data.tables import numbered_lines, read_text
from seqloss.data.words import SPLITS, load_words
from seqloss.errors import DataError, missing_extra, unknown_choice
from seqloss.recipes.embedding.items import LabelledItem, refuse_without_pairs
from seqloss.recipes.stems.settings import Settings
from seqloss.training.batches import Source
from seqloss.training.labelled_batches import LabelledSource, alternate_labels
from seqloss.training.task import Data, PrintLine

SYSTEM_WORDS = Path("/usr/share/dict/words")

TEST_SHARE, VALIDATION_SHARE = 0.1, 0.05
"""Of the stems."""


class Words(LabelledSource):
    """The words of a split, each with the number of its stem as a label.

    Args:
        words: in their order.
        labels: of the words.
        split: name of the split.
        vocabulary: numbers the characters.
    """

    rows_per_label = 8

    def __init__(self, words: Sequence[str], labels: Sequence[int], split: str, vocabulary: Vocabulary) -> None:
        self.words, self.labels, self.split, self.vocabulary = words, labels, split, vocabulary

    def __len__(self) -> int:
        return len(self.words)

    def label(self, epoch: int, index: int) -> int:
        return self.labels[index]

    def item(self, epoch: int, index: int) -> LabelledItem:
        characters = torch.tensor(encode_word(self.words[index], self.vocabulary))
        return LabelledItem(characters, self.labels[index], index, self.split)


def encode_word(word: str, vocabulary: Vocabulary) -> list[int]:
    """The numbers of the characters; characters that no training word has are left out.

    Raises:
        DataError: no character is left.
    """
    found = vocabulary.encode(word, known=True)
    if not found:
        raise DataError(f"{word!r}: no training word has any of these characters; give a word of the language.")
    return found


def load_data(settings: Settings, known: Vocabulary | None, print_line: PrintLine) -> tuple[Data, Vocabulary]:
    """The words of each split, and the vocabulary of characters (the known one, else that of the training words)."""
    words, line = read_words(settings.data)
    print_line(line)
    stems = stem_words(words, settings.language)
    numbers = {stem: number for number, stem in enumerate(sorted(set(stems)))}
    splits = split_stems(list(numbers))
    parts: dict[str, list[tuple[str, int]]] = {name: [] for name in SPLITS}
    for word, stem in zip(words, stems, strict=True):
        parts[splits[stem]].append((word, numbers[stem]))
    for name, part in parts.items():
        refuse_without_pairs([label for _, label in part], f"{name} words")
    train = parts["train"]
    parts["train"] = [train[index] for index in alternate_labels([label for _, label in train])]
    vocabulary = known or Vocabulary.from_texts([word for word, _ in train])
    for name in ("validation", "test"):
        parts[name] = [pair for pair in parts[name] if vocabulary.encode(pair[0], known=True)]
    sources: dict[str, Source] = {
        name: Words([word for word, _ in part], [label for _, label in part], name, vocabulary)
        for name, part in parts.items()
    }
    digest = hashlib.sha256("\n".join(map("\t".join, zip(words, stems, strict=True))).encode()).hexdigest()[:16]
    return Data(sources, {"data_digest": digest}), vocabulary


def read_words(file: str | None) -> tuple[list[str], str]:
    """The distinct words of a file in lower case, in alphabetical order, and a line on where they are from.

    Args:
        file: one word per line; lines with other characters than letters are left out. None for the usual words.

    Raises:
        DataError: the file cannot be read, or has no words.
    """
    if file is None and not SYSTEM_WORDS.is_file():
        return list(load_words()), f"words: the {len(load_words())} that come with seqloss"
    path = Path(file or SYSTEM_WORDS)
    lines = [line.strip() for _, line in numbered_lines(read_text(path))]
    words = sorted({line.lower() for line in lines if line.isalpha()})
    if not words:
        raise DataError(f"{path}: no words; write one word of letters on each line.")
    counted = format_count(len(lines), "line")
    return words, f"words: {len(words)} of {path}, {counted}; those with other characters are left out"


def stem_words(words: Sequence[str], language: str) -> list[str]:
    """The stem of each word.

    Raises:
        OptionError: there is no stemmer for the language.
        ImportError: snowballstemmer is not installed.
    """
    try:
        import snowballstemmer
    except ModuleNotFoundError as error:
        raise missing_extra("snowballstemmer", "stems", "stemming") from error
    known = snowballstemmer.algorithms()
    if language not in known:
        raise unknown_choice("--language", language, known)
    stems: list[str] = snowballstemmer.stemmer(language).stemWords(list(words))
    return stems


def split_stems(stems: Sequence[str]) -> dict[str, str]:
    """The split of each stem: test and validation stems are those whose SHA-256 is smallest, for every seed the same.

    Example:
        >>> from collections import Counter
        >>> Counter(split_stems([f"stem{number}" for number in range(100)]).values())
        Counter({'train': 85, 'test': 10, 'validation': 5})
    """
    order = sorted(stems, key=lambda stem: hashlib.sha256(f"seqloss {stem}".encode()).digest())
    test = round(TEST_SHARE * len(order))
    validation = test + round(VALIDATION_SHARE * len(order))
    return {
        stem: "test" if place < test else "validation" if place < validation else "train"
        for place, stem in enumerate(order)
    }
