"""`RecognitionTask`: the part of a task that all recipes with CTC and a vocabulary have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics import Metric as Accumulator
from torchmetrics.text import CharErrorRate

from seqloss.counts import format_count
from seqloss.data.vocabulary import frames_needed
from seqloss.doctor.lightning import blank_share
from seqloss.doctor.sanity_checks import (
    describe_classes,
    describe_feasibility,
    describe_scores,
    describe_unseen,
    mean_uniform_ctc_loss,
)
from seqloss.recipes.recognition.data import TextSource
from seqloss.recipes.recognition.texts import TextTask
from seqloss.torch import ctc_loss
from seqloss.training.task import Batch, Data, Example, Metric, Outputs, StepValue

ERRORS = "validation errors"

DISTANCE = Metric("distance", "ned", "normalised edit distance", chart=ERRORS)
EXACT = Metric("exact", "acc", "exact match", "{:.1%}", mode="max")
CHARACTERS = Metric("characters", "cer", "character error rate", "{:.2%}", chart=ERRORS)


class RecognitionTask(TextTask):
    """A network with one output frame per `stride` input steps, trained with CTC on texts.

    Sources are `TextSource`s. Batches have `targets`, `target_lengths` and `texts`; outputs are "logits" and
    "logit_lengths"; the network's output layer is its attribute `head`.

    Attributes:
        stride: input steps per frame.
        steps: what the input's steps are called.
    """

    unit = "nats/char"
    metrics = (DISTANCE, EXACT, CHARACTERS)
    monitor = "distance"
    step_values = (StepValue("blank", "share of blank frames", (-0.03, 1.03)),)
    stride: int
    steps: ClassVar[str] = "pixels"
    blank = 0

    # --- loss and metrics

    def loss(self, batch: Batch, outputs: Outputs) -> Tensor:
        logits, lengths = outputs["logits"], outputs["logit_lengths"]
        return ctc_loss(logits, batch.targets, lengths, batch.target_lengths, reduction="labels")

    def loss_weight(self, batch: Batch) -> int:
        return max(1, int(batch.target_lengths.sum()))  # characters

    def make_metrics(self) -> dict[str, Accumulator]:
        return {"distance": MeanMetric(), "exact": MeanMetric(), **self.make_error_rates()}

    def make_error_rates(self) -> dict[str, Accumulator]:
        """What is updated with (text, target), by name."""
        return {"characters": CharErrorRate()}

    def update_metrics(self, metrics: Mapping[str, Accumulator], batch: Batch, outputs: Outputs) -> Sequence[Example]:
        pairs = zip(batch.texts, self.decode_outputs(outputs), strict=True)
        examples = [Example(self.scored(target), self.scored(text)) for target, text in pairs]
        for target, text in examples:
            metrics["distance"].update(self.distance(text, target))
            metrics["exact"].update(float(text == target))
            for name in metrics.keys() - {"distance", "exact"}:
                metrics[name].update(text, target)
        return examples

    def record_step(self, outputs: Outputs) -> dict[str, float]:
        return {"blank": blank_share(outputs["logits"], outputs["logit_lengths"])}

    # --- sanity checks

    def describe_data(self) -> str:
        return format_count(len(self.vocabulary) - 1, self.vocabulary.unit.removesuffix("s"))

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        outputs = cast(nn.Linear, network.head).out_features
        yield describe_classes(len(self.vocabulary) - 1, outputs, self.vocabulary.unit)
        rows = {name: cast(TextSource, source).texts_and_lengths() for name, source in data.sources.items()}
        for name, pairs in rows.items():
            yield from describe_unseen(name, [self.vocabulary.unknown_characters(text) for text, _ in pairs])
        if rows["train"]:
            needed = [(length, frames_needed(self.vocabulary.split(text))) for text, length in rows["train"]]
            yield describe_feasibility(needed, self.stride, self.steps)
            yield from self._advise_more_frames(needed)

    def _advise_more_frames(self, needed: Sequence[tuple[int, int]]) -> Iterator[str]:
        """Targets that nearly fill their frames can be learnt late, or not at all."""
        full = sum(2 * labels > -(-length // self.stride) for length, labels in needed)
        if full and (advice := self.advise_frames()):
            targets = format_count(len(needed), "target")
            yield f"{full} of {targets} fill more than half of their frames; {advice}"

    def advise_frames(self) -> str:
        """Which option gives more frames; "" for none."""
        return ""

    def check_outputs(self, outputs: Outputs) -> Iterator[str]:
        yield from describe_scores(outputs["logits"], outputs["logit_lengths"].tolist())

    def baseline_loss(self, batch: Batch, outputs: Outputs) -> float:
        targets = [self.vocabulary.split(self.order.to_visual(text)) for text in batch.texts]
        return mean_uniform_ctc_loss(outputs["logit_lengths"].tolist(), targets, outputs["logits"].shape[2])

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
