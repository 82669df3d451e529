"""`RecognitionTask`: the part of a task that all recipes with CTC and a vocabulary have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics import Metric as Accumulator
from torchmetrics.text import CharErrorRate

from seqloss.data import Vocabulary
from seqloss.data.vocabulary import frames_needed
from seqloss.doctor.lightning import blank_share
from seqloss.doctor.sanity_checks import describe_classes, describe_feasibility, describe_unseen, mean_uniform_ctc_loss
from seqloss.errors import DataError, RunError
from seqloss.recipes.recognition.data import TextSource
from seqloss.torch import ctc_greedy, ctc_loss
from seqloss.training.run import Run
from seqloss.training.settings import TrainingSettings
from seqloss.training.task import Batch, Data, Example, Metric, Outputs, StepValue, Task

ERRORS = "validation errors"


class RecognitionTask(Task):
    """A network with one output frame per `stride` input steps, trained with CTC on texts.

    Sources are `TextSource`s. Batches have `targets`, `target_lengths` and `texts`; outputs are "logits" and
    "logit_lengths"; the network's output layer is its attribute `head`.

    Attributes:
        stride: input steps per frame.
        steps: what the input's steps are called.
    """

    unit = "nats/char"
    metrics = (
        Metric("distance", "ned", "normalised edit distance", chart=ERRORS),
        Metric("exact", "acc", "exact match", "{:.1%}", mode="max"),
        Metric("characters", "cer", "character error rate", "{:.2%}", chart=ERRORS),
    )
    monitor = "distance"
    step_values = (StepValue("blank", "share of blank frames", (-0.03, 1.03)),)
    stride: ClassVar[int]
    steps: ClassVar[str] = "pixels"

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__(settings)
        self.known_vocabulary: Vocabulary | None = None

    # --- vocabulary

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
        path = vocabulary_file(run)
        if not path.exists():
            return
        try:
            vocabulary = Vocabulary.load(path)
        except DataError as problem:
            raise RunError(f"{problem} Or start over with --fresh.") from problem
        if (run.read_json("settings") or {}).get("vocabulary_digest", vocabulary.digest) != vocabulary.digest:
            raise RunError(
                f"{path}: is not the vocabulary that this run was trained with; "
                "put it back, or start over with --fresh."
            )
        self.known_vocabulary = vocabulary

    def encode_texts(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Targets (batch, labels), padded with 0, and their lengths."""
        labels = [torch.tensor(self.vocabulary.encode(text, known=True), dtype=torch.int64) for text in texts]
        return nn.utils.rnn.pad_sequence(labels, batch_first=True), torch.tensor([len(row) for row in labels])

    def decode_outputs(self, outputs: Outputs) -> list[str]:
        """The texts of the best paths."""
        found = ctc_greedy(outputs["logits"], outputs["logit_lengths"])
        return [self.vocabulary.decode(row.labels.tolist()) for row in found]

    # --- loss and metrics

    def loss(self, batch: Batch, outputs: Outputs) -> Tensor:
        logits, lengths = outputs["logits"], outputs["logit_lengths"]
        return ctc_loss(logits, batch.targets, lengths, batch.target_lengths, reduction="labels")

    def loss_weight(self, batch: Batch) -> int:
        return max(1, int(batch.target_lengths.sum()))  # characters

    def make_metrics(self) -> dict[str, Accumulator]:
        return {"distance": MeanMetric(), "exact": MeanMetric(), "characters": CharErrorRate()}

    def update_metrics(self, metrics: Mapping[str, Accumulator], batch: Batch, outputs: Outputs) -> Sequence[Example]:
        examples = [Example(*pair) for pair in zip(batch.texts, self.decode_outputs(outputs), strict=True)]
        for target, text in examples:
            metrics["distance"].update(normalised_distance(text, target))
            metrics["exact"].update(float(text == target))
            metrics["characters"].update(text, target)
        return examples

    def record_step(self, outputs: Outputs) -> dict[str, float]:
        return {"blank": blank_share(outputs["logits"], outputs["logit_lengths"])}

    # --- sanity checks

    def describe_data(self) -> str:
        return f"{len(self.vocabulary) - 1} characters"

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        yield describe_classes(len(self.vocabulary) - 1, cast(nn.Linear, network.head).out_features)
        rows = {name: cast(TextSource, source).texts_and_lengths() for name, source in data.sources.items()}
        for name, pairs in rows.items():
            yield from describe_unseen(name, [self.vocabulary.unknown_characters(text) for text, _ in pairs])
        if rows["train"]:
            needed = [(length, frames_needed(text)) for text, length in rows["train"]]
            yield describe_feasibility(needed, self.stride, self.steps)

    def baseline_loss(self, batch: Batch, outputs: Outputs) -> float:
        return mean_uniform_ctc_loss(outputs["logit_lengths"].tolist(), batch.texts, outputs["logits"].shape[2])

    # --- using a trained run

    def export(self, network: nn.Module, file: Path, items: int) -> int:
        from seqloss.recipes.recognition.export import export_outputs

        return export_outputs(self, network, file, items)

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        from seqloss.recipes.recognition.report_sections import predictions_section

        return [predictions_section]

    def suggest_command(self, folder: Path) -> str:
        import shlex

        return f"transcribe: seqloss transcribe {shlex.quote(str(folder))} {self.item.upper()} ..."

    def draw_input(self, batch: Batch, row: int) -> np.ndarray:
        """A row's input as an image, (height, width) in 0..1, for the report."""
        raise NotImplementedError


def vocabulary_file(run: Run) -> Path:
    """RUN/vocabulary.json: the characters, in the order of their classes."""
    return run.folder / "vocabulary.json"


def normalised_distance(text: str, target: str) -> float:
    """Edits from one text to the other, over the target's length."""
    return Levenshtein.distance(text, target) / max(1, len(target))
