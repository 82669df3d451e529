"""The charlm recipe as a task for the training engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torchmetrics import Metric as Accumulator

from seqloss.data import Vocabulary
from seqloss.errors import DataError, RunError
from seqloss.recipes.charlm.data import (
    END,
    UNKNOWN,
    Row,
    Rows,
    WordBatch,
    class_numbers,
    load_data,
    make_rows,
    stack_rows,
)
from seqloss.recipes.charlm.documents import read_words
from seqloss.recipes.charlm.network import Network, count_bytes, uniform_losses
from seqloss.recipes.charlm.paragraphs import split_paragraphs
from seqloss.recipes.charlm.perplexity import Perplexity
from seqloss.recipes.charlm.report_section import words_section
from seqloss.recipes.charlm.settings import Settings
from seqloss.recipes.charlm.text_task import TextTask
from seqloss.recipes.recognition.texts import read_vocabulary, vocabulary_file
from seqloss.training.run import Run
from seqloss.training.task import Data, Metric, Outputs, PrintLine, Progress


@dataclass(frozen=True)
class TextScore:
    """How well the model predicts a text.

    Attributes:
        perplexity: of all words and ends of paragraphs; <unk> is one word.
        words: how many these are.
        unknown: how many of them are outside of the vocabulary.
        path: of the file; "" for a text.
    """

    perplexity: float
    words: int
    unknown: int
    path: str = field(default="", compare=False)

    def __str__(self) -> str:
        found = (
            f"perplexity {self.perplexity:.2f} of {self.words} words, {self.unknown} of them outside of the vocabulary"
        )
        return f"{self.path}: {found}" if self.path else found


class CharlmTask(TextTask):
    """The next word of a text, from words that are read from their characters, or from a table."""

    name = "charlm"
    item = "row"
    unit = "nats/word"
    metrics = (Metric("perplexity", "ppl", "perplexity", "{:.2f}", chart="validation perplexity"),)
    monitor = "perplexity"
    baseline_name = "uniform in each cluster"
    overfit_loss = 0.25  # nothing tells how a paragraph begins
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.known_vocabulary: Vocabulary | None = None
        self.numbers: dict[str, int] = {}
        self.paragraphs: dict[str, list[list[str]]] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that are predicted, the most frequent first; class 0 is any other word."""
        if self.known_vocabulary is None:
            raise RunError("the run has no vocabulary.json; put it back, or train again.")
        return self.known_vocabulary

    def _keep(self, vocabulary: Vocabulary | None) -> None:
        if vocabulary is not None:
            self.known_vocabulary, self.numbers = vocabulary, class_numbers(vocabulary)

    # --- data

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        found = load_data(self.settings, self.known_vocabulary, skip_bad, print_line or (lambda line: None))
        self._keep(found.vocabulary)
        self.paragraphs = found.paragraphs
        return replace(found.data, digests={**found.data.digests, "vocabulary_digest": found.vocabulary.digest})

    def collate(self, items: Sequence[Row]) -> WordBatch:
        return stack_rows(items, self.numbers)

    def save(self, run: Run) -> None:
        self.vocabulary.save(vocabulary_file(run))

    def restore(self, run: Run) -> None:
        self._keep(read_vocabulary(run))

    # --- network

    def build_network(self) -> Network:
        return Network(self.vocabulary, self.settings)

    def forward(self, network: nn.Module, batch: WordBatch) -> Outputs:
        return {"losses": network(batch)}

    def loss(self, batch: WordBatch, outputs: Outputs) -> Tensor:
        return outputs["losses"].sum() / self.loss_weight(batch)

    # --- measuring

    def loss_weight(self, batch: WordBatch) -> int:
        return int(batch.lengths.sum())

    def make_metrics(self) -> dict[str, Accumulator]:
        return {"perplexity": Perplexity()}

    def update_metrics(self, metrics: Mapping[str, Accumulator], batch: WordBatch, outputs: Outputs) -> Sequence[Any]:
        cast(Perplexity, metrics["perplexity"]).update(outputs["losses"], self.loss_weight(batch))
        return ()

    # --- sanity checks

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        yield f"vocabulary: {len(self.vocabulary)} words of the training text, {END} and {UNKNOWN} included"
        for name, rows in self.paragraphs.items():
            counts = Counter(word in self.numbers for row in rows for word in row)
            yield f"{name}: {counts[False] / counts.total():.1%} of the words are {UNKNOWN}"
        yield describe_cost(cast(Network, network))

    def baseline_loss(self, batch: WordBatch, outputs: Outputs) -> float:
        losses = uniform_losses(len(self.vocabulary), batch.targets)
        return float(losses[outputs["losses"] != 0].mean())

    def empty_input(self, batch: WordBatch) -> WordBatch:
        words = [[END] * len(row) for row in batch.words]
        return replace(batch, words=words, inputs=batch.inputs.new_full(batch.inputs.shape, self.numbers[END]))

    # --- using a trained run

    def predict(self, network: nn.Module, given: str | Path) -> TextScore:
        """The score of a text, or of a text file."""
        text = read_words(given) if isinstance(given, Path) else given
        rows = make_rows(split_paragraphs(text), self.settings.longest)
        if not rows:
            raise DataError(f"{given}: found no word, expected a text.")
        perplexity, source = Perplexity(), Rows(rows)
        for places in source.batches(0, self.settings.batch, None):
            batch = self.collate([rows[place] for place in places])
            perplexity.update(network(batch), self.loss_weight(batch))
        unknown = sum(word not in self.numbers for row in rows for word in row[1:])
        path = str(given) if isinstance(given, Path) else ""
        return TextScore(float(perplexity.compute()), source.predicted, unknown, path)

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        return [words_section]


def describe_cost(network: Network) -> str:
    """A line on the bytes of the whole model and of its part that reads words."""
    whole, words = count_bytes(network), count_bytes(network.words)
    return f"bytes of all parameters: {whole:,}; of these, what reads words: {words:,}"
