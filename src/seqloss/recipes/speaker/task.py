"""The speaker recipe as a task for the training engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchmetrics import Metric as Accumulator

from seqloss.counts import format_count
from seqloss.data.sounds import SoundCache
from seqloss.recipes.embedding.metrics import PairAccuracy, PairError
from seqloss.recipes.embedding.task import EmbeddingTask
from seqloss.recipes.speaker.data import load_data
from seqloss.recipes.speaker.network import Network
from seqloss.recipes.speaker.settings import Settings
from seqloss.torch.nn import GlobalNorm, LogMel
from seqloss.training.task import Data, Metric, PrintLine, Progress


@dataclass(frozen=True)
class Voice:
    """The embedding of one recording.

    Attributes:
        path: of the recording.
        embedding: its values.
    """

    path: str
    embedding: list[float]

    def __str__(self) -> str:
        return "\t".join([self.path, *(f"{value:.4f}" for value in self.embedding)])


class SpeakerTask(EmbeddingTask):
    """Recordings to embeddings; those of a speaker are close together."""

    name = "speaker"
    item = "recording"
    metrics = (
        Metric("error", "eer", "equal error rate", "{:.2%}", chart="validation equal error rate"),
        Metric("accuracy", "acc", "pair accuracy", "{:.2%}", mode="max"),
    )
    monitor = "error"
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.loss, settings.margin)
        self.labels: dict[str, int] = {}
        self.log_mel = LogMel(settings.rate)
        self.norm = GlobalNorm(self.log_mel.filters)  # where nothing is trained, its numbers come with the weights

    # --- data

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        print_line = print_line or (lambda line: None)
        data, self.labels = load_data(self.settings, skip_bad, progress, print_line)
        source = data.sources["train"].without_augmentation()
        self.norm.fit(source.item(0, index).values for index in range(0, len(source), 1 + len(source) // 1000))
        return data

    # --- network

    def build_network(self) -> Network:
        settings = self.settings
        norm = GlobalNorm(self.log_mel.filters)
        norm.load_state_dict(self.norm.state_dict())
        return Network(
            self.log_mel.filters, norm=norm, size=settings.size, dimensions=settings.dimensions,
            dropout=settings.dropout,
        )  # fmt: skip

    # --- measuring

    def make_metrics(self) -> dict[str, Accumulator]:
        focus = self.labels.get(self.settings.leave_out or "")
        return {"error": PairError(self.similarity, focus), "accuracy": PairAccuracy(self.similarity, focus)}

    def describe_data(self) -> str:
        return format_count(len(self.labels), "speaker")

    # --- using a trained run

    def predict(self, network: nn.Module, given: Path) -> Voice:
        samples = SoundCache(self.settings.rate, None).read(given)
        features, frames = self.log_mel(torch.from_numpy(samples)[None])
        return Voice(str(given), network(features, frames)[0].tolist())

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        from seqloss.recipes.speaker.report_section import embedding_section

        return [embedding_section]

    def similarity_of(self, first: Voice, second: Voice) -> float:
        """How alike the voices of two recordings are, on the scale of the thresholds."""
        rows = (np.array([voice.embedding]) for voice in (first, second))
        return float(self.similarity(*rows)[0, 0])
