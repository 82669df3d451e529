"""`TextTask`: the part of a task that reads and writes texts, with a vocabulary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from seqloss.data import Vocabulary
from seqloss.data.reading_order import ReadingOrder
from seqloss.errors import DataError, RunError
from seqloss.torch import ctc_greedy
from seqloss.training.batches import Source
from seqloss.training.run import Run
from seqloss.training.settings import TrainingSettings
from seqloss.training.task import Batch, Data, Outputs, Task


class TextTask(Task):
    """A task whose targets are texts. Outputs are "logits" and "logit_lengths"; class 0 is the blank.

    The texts of batches, and those that are decoded, are in logical order. The labels are in the order in which the
    inputs show them.

    Attributes:
        order: from one to the other.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__(settings)
        self.known_vocabulary: Vocabulary | None = None
        self.order = ReadingOrder()

    @property
    def vocabulary(self) -> Vocabulary:
        """Made of the training texts once, or restored; never extended."""
        if self.known_vocabulary is None:
            raise RunError("the run has no vocabulary.json; put it back, or train again.")
        return self.known_vocabulary

    def with_vocabulary(self, data: Data, vocabulary: Vocabulary) -> Data:
        """Keep the vocabulary; the data with its digest."""
        self.known_vocabulary = vocabulary
        return replace(data, digests={**data.digests, "vocabulary_digest": vocabulary.digest})

    def save(self, run: Run) -> None:
        self.vocabulary.save(vocabulary_file(run))

    def restore(self, run: Run) -> None:
        self.known_vocabulary = read_vocabulary(run) or self.known_vocabulary

    def encode_texts(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Targets (batch, labels), padded with 0, and their lengths."""
        shown = [self.order.to_visual(text) for text in texts]
        labels = [torch.tensor(self.vocabulary.encode(text, known=True), dtype=torch.int64) for text in shown]
        return nn.utils.rnn.pad_sequence(labels, batch_first=True), torch.tensor([len(row) for row in labels])

    def decode_outputs(self, outputs: Outputs) -> list[str]:
        """The texts of the best paths, in logical order."""
        found = ctc_greedy(outputs["logits"], outputs["logit_lengths"])
        return [self.order.to_logical(self.vocabulary.decode(row.labels.tolist())) for row in found]

    def scored(self, text: str) -> str:
        """The form of a text in which predictions are compared with targets."""
        return text

    def distance(self, text: str, target: str) -> float:
        """Edits from one text to the other, in symbols, over the target's length."""
        return normalised_distance(self.vocabulary.split(text), self.vocabulary.split(target))

    def sound(self, source: Source, index: int) -> str:
        """A data URI of an item's sound for the report; "" for none."""
        return ""

    @abstractmethod
    def draw_input(self, batch: Batch, row: int) -> np.ndarray:
        """A row's input as an image, (height, width) in 0..1, for the report."""


def vocabulary_file(run: Run) -> Path:
    """RUN/vocabulary.json: the characters, in the order of their classes."""
    return run.folder / "vocabulary.json"


def read_vocabulary(run: Run) -> Vocabulary | None:
    """The vocabulary of a run; None if there is no file.

    Raises:
        RunError: it cannot be read, or the run was trained with another one.
    """
    path = vocabulary_file(run)
    if not path.exists():
        return None
    try:
        vocabulary = Vocabulary.load(path)
    except DataError as problem:
        raise RunError(f"{problem} Or start over with --fresh.") from problem
    if (run.read_json("settings") or {}).get("vocabulary_digest", vocabulary.digest) != vocabulary.digest:
        raise RunError(
            f"{path}: is not the vocabulary that this run was trained with; put it back, or start over with --fresh."
        )
    return vocabulary


def normalised_distance(text: Sequence[str], target: Sequence[str]) -> float:
    """Edits from one text to the other, over the target's length."""
    return Levenshtein.distance(text, target) / max(1, len(target))
