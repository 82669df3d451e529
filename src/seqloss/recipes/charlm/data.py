"""Rows of words with what follows each of them, and the vocabulary of what is predicted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.counts import format_count
from seqloss.data import Vocabulary, make_rows_error
from seqloss.errors import DataError
from seqloss.recipes.charlm.documents import read_documents
from seqloss.recipes.charlm.paragraphs import split_documents
from seqloss.recipes.charlm.settings import Settings
from seqloss.training.batches import Source
from seqloss.training.task import Data, PrintLine

END = "<end>"
"""The word that ends a paragraph, and stands before its first one. No word of a text has angle brackets."""

UNKNOWN = "<unk>"
"""Class 0: any word outside of the vocabulary."""

Row = tuple[str, ...]
"""A word that comes before, and the words to predict."""


@dataclass
class WordBatch:
    """Rows of words, padded to (rows, words).

    Attributes:
        words: what the network reads, as words.
        inputs: the same, as classes.
        targets: the class of the word that follows each of them.
        lengths: words of each row.
    """

    words: Sequence[Sequence[str]]
    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.words)

    def to(self, device: Any, **options: Any) -> WordBatch:
        """With the classes on a device; lengths stay on the host."""
        return WordBatch(
            self.words, self.inputs.to(device, **options), self.targets.to(device, **options), self.lengths
        )


class Rows(Source):
    """The rows of a split.

    Args:
        rows: of words.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, epoch: int, index: int) -> Row:
        return self.rows[index]

    def length(self, epoch: int, index: int) -> int:
        return len(self.rows[index])

    @property
    def predicted(self) -> int:
        """Words that are predicted, ends of paragraphs included."""
        return sum(len(row) - 1 for row in self.rows)


def make_rows(paragraphs: Iterable[Sequence[str]], longest: int) -> list[Row]:
    """Rows of at most so many words to predict, each with the word before it.

    Example:
        >>> make_rows([["a", "b", "c"]], 2)
        [('<end>', 'a', 'b'), ('b', 'c', '<end>')]
    """
    found: list[Row] = []
    for paragraph in paragraphs:
        words = (END, *paragraph, END)
        found += [words[start : start + longest + 1] for start in range(0, len(words) - 1, longest)]
    return found


def make_vocabulary(paragraphs: Sequence[Sequence[str]], min_count: int) -> Vocabulary:
    """The words of the training text that it has often enough, the most frequent first.

    Raises:
        DataError: there are less than two.
    """
    counts = Counter(word for paragraph in paragraphs for word in paragraph)
    counts[END] = len(paragraphs)
    kept = sorted((word for word in counts if counts[word] >= min_count or word == END), key=lambda w: (-counts[w], w))
    if len(kept) < 2:
        raise DataError(f"--min-count: no word of the training text is there {min_count} times; give a lower number.")
    return Vocabulary(kept, "none", "words")


def class_numbers(vocabulary: Vocabulary) -> dict[str, int]:
    """The class of each word of the vocabulary, from 1."""
    return {word: number for number, word in enumerate(vocabulary.characters, 1)}


def stack_rows(rows: Sequence[Row], numbers: dict[str, int]) -> WordBatch:
    """The batch of rows."""
    classes = [torch.tensor([numbers.get(word, 0) for word in row]) for row in rows]
    inputs, targets = (
        nn.utils.rnn.pad_sequence(list(part), batch_first=True)
        for part in ([row[:-1] for row in classes], [row[1:] for row in classes])
    )
    return WordBatch([row[:-1] for row in rows], inputs, targets, torch.tensor([len(row) - 1 for row in rows]))


@dataclass(frozen=True)
class TextData:
    """What a run reads: its data, its vocabulary, and the paragraphs of each split."""

    data: Data
    vocabulary: Vocabulary
    paragraphs: dict[str, list[list[str]]]


def load_data(settings: Settings, known: Vocabulary | None, skip_bad: bool, print_line: PrintLine) -> TextData:
    """The rows of each split, and the vocabulary (the known one, else that of the training text)."""
    documents, bad, line = read_documents(settings.data)
    if bad and not (skip_bad and documents):
        raise make_rows_error(bad)
    paragraphs = split_documents(documents)
    vocabulary = known or make_vocabulary(paragraphs["train"], settings.min_count)
    words = {name: sum(map(len, rows)) for name, rows in paragraphs.items()}
    print_line(f"{line}: " + ", ".join(format_count(count, f"{name} word") for name, count in words.items()))
    sources: dict[str, Source] = {name: Rows(make_rows(rows, settings.longest)) for name, rows in paragraphs.items()}
    text = "\n\n".join("\n".join(" ".join(row) for row in rows) for rows in paragraphs.values())
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return TextData(Data(sources, {"data_digest": digest}, bad), vocabulary, paragraphs)
