"""The stems recipe as a task for the training engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torchmetrics import Metric as Accumulator

from seqloss.data import Vocabulary
from seqloss.errors import DataError, RunError
from seqloss.recipes.embedding.metrics import Collected, NeighborRecall
from seqloss.recipes.embedding.neighbors import choose_with_others, find_nearest
from seqloss.recipes.embedding.task import EmbeddingTask
from seqloss.recipes.recognition.texts import read_vocabulary, vocabulary_file
from seqloss.recipes.stems.data import Words, encode_word, load_data
from seqloss.recipes.stems.network import Network
from seqloss.recipes.stems.settings import Settings
from seqloss.training.run import Run
from seqloss.training.task import Data, Example, Metric, PrintLine, Progress


@dataclass(frozen=True)
class WordVector:
    """The embedding of one word.

    Attributes:
        word: in lower case.
        embedding: its values.
    """

    word: str
    embedding: list[float]

    def __str__(self) -> str:
        return "\t".join([self.word, *(f"{value:.4f}" for value in self.embedding)])


class StemsTask(EmbeddingTask):
    """Words to embeddings; those of a stem are close together."""

    name = "stems"
    item = "word"
    metrics = (Metric("recall", "recall", "recall at ten", "{:.2%}", mode="max", chart="validation recall"),)
    monitor = "recall"
    example_title = "word -> its nearest ten"
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "cosine_triplet", settings.margin)
        self.known_vocabulary: Vocabulary | None = None
        self.validation_words: Sequence[str] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of the training words; class 0 is padding."""
        if self.known_vocabulary is None:
            raise RunError("the run has no vocabulary.json; put it back, or train again.")
        return self.known_vocabulary

    # --- data

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        data, vocabulary = load_data(self.settings, self.known_vocabulary, print_line or (lambda line: None))
        self.known_vocabulary = vocabulary
        self.validation_words = cast(Words, data.sources["validation"]).words
        return replace(data, digests={**data.digests, "vocabulary_digest": vocabulary.digest})

    def save(self, run: Run) -> None:
        self.vocabulary.save(vocabulary_file(run))

    def restore(self, run: Run) -> None:
        self.known_vocabulary = read_vocabulary(run) or self.known_vocabulary

    # --- network

    def build_network(self) -> Network:
        return Network(len(self.vocabulary), size=self.settings.size, dimensions=self.settings.dimensions)

    # --- measuring

    def make_metrics(self) -> dict[str, Accumulator]:
        return {"recall": NeighborRecall()}

    def split_examples(self, metrics: Mapping[str, Accumulator]) -> Sequence[Example]:
        found = cast(NeighborRecall, metrics["recall"]).collect()
        words = [self.validation_words[number] for number in found.numbers]
        return [Example(word, " ".join(near)) for word, near in nearest_words(found, words, 3)]

    # --- using a trained run

    def predict(self, network: nn.Module, given: str | Path) -> WordVector:
        if isinstance(given, Path) and given.is_file():
            raise DataError("is a file, expected a word; give words, such as those that the file has")
        word = str(given).lower()
        characters = torch.tensor([encode_word(word, self.vocabulary)])
        return WordVector(word, network(characters, torch.tensor([characters.shape[1]]))[0].tolist())

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        from seqloss.recipes.stems.report_section import neighbors_section

        return [neighbors_section]


def nearest_words(found: Collected, words: Sequence[str], count: int) -> list[tuple[str, list[str]]]:
    """Some of the words that have another one of their stem, evenly spread, each with its nearest ten.

    Args:
        found: embeddings and labels of the words.
        words: in the same order.
        count: at most so many.
    """
    shown, _ = choose_with_others(found.labels, count)
    nearest = find_nearest(found.embeddings[shown], found.embeddings, shown)
    return [(words[row], [words[place] for place in near]) for row, near in zip(shown, nearest, strict=True)]
