"""The speech recipe as a task for the training engine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torchmetrics import Metric as Accumulator

from seqloss.data.paths import require_file
from seqloss.data.reading_order import ReadingOrder
from seqloss.errors import RunError
from seqloss.recipes.recognition.error_rates import ErrorRate
from seqloss.recipes.recognition.segments import Alignment
from seqloss.recipes.recognition.task import CHARACTERS, DISTANCE, ERRORS, EXACT, RecognitionTask
from seqloss.recipes.speech.alignment import align_text
from seqloss.recipes.speech.data import (
    STEPS,
    Features,
    Form,
    Item,
    Recordings,
    SpeechBatch,
    Synthetic,
    load_data,
    stack_features,
)
from seqloss.recipes.speech.network import Network
from seqloss.recipes.speech.settings import Settings
from seqloss.recipes.speech.timit_phones import fold_to_39
from seqloss.recipes.speech.transcripts import (
    SpeechTranscript,
    chunks_of_file,
    find_best_path,
    join_paths,
    make_transcript,
)
from seqloss.torch.nn import GlobalNorm, UtteranceNorm
from seqloss.training.batches import Source
from seqloss.training.run import Run
from seqloss.training.task import Data, Metric, Outputs, PrintLine, Progress

FITTED = 1000
"""Training recordings at most that mean and deviation of the features are computed from."""

SHOWN_SECONDS = 20
"""Of a sound in the report."""

RATES = {
    "characters": CHARACTERS,
    "words": Metric("words", "wer", "word error rate", "{:.2%}", chart=ERRORS),
    "phones": Metric("phones", "per", "phone error rate", "{:.2%}", chart=ERRORS),
}


class SpeechTask(RecognitionTask):
    """Recordings to text."""

    name = "speech"
    item = "recording"
    steps = STEPS
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.stride = settings.subsampling
        self.order = ReadingOrder("visual")  # sounds come in the order of the text
        self.features = Features(settings.rate)
        self.form = Form(0, spectral=True)
        self.norm: nn.Module | None = None
        rates = {"characters": ("characters", "words"), "words": ("words",), "phones": ("phones",)}[settings.units]
        self.metrics = (DISTANCE, EXACT, *(RATES[name] for name in rates))  # type: ignore[misc, assignment]

    # --- data

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        print_line = print_line or (lambda line: None)
        data, vocabulary, self.form = load_data(self.settings, self.known_vocabulary, skip_bad, progress, print_line)
        if self.norm is None:
            self.norm = self._fit_norm(data)
        return self.with_vocabulary(data, vocabulary)

    def _fit_norm(self, data: Data) -> nn.Module:
        """Mean and deviation of training recordings, evenly spread; or of each recording on its own."""
        if self.settings.normalization == "utterance":
            return UtteranceNorm()
        source = data.sources["train"].without_augmentation()
        chosen = np.unique(np.linspace(0, len(source) - 1, min(FITTED, len(source))).astype(int))
        return GlobalNorm(self.form.width).fit(source.item(0, int(index))[0] for index in chosen)

    def save(self, run: Run) -> None:
        super().save(run)
        run.write_json("features", asdict(self.form))

    def restore(self, run: Run) -> None:
        super().restore(run)
        saved = run.read_json("features")
        if self.known_vocabulary is not None and saved is None:
            raise RunError(f"{run.folder}/features.json: is missing; put it back, or start over with --fresh.")
        if saved is not None:
            self.form = Form(**saved)

    def collate(self, items: Sequence[Item]) -> SpeechBatch:
        features, masks, texts = zip(*items, strict=True)
        return SpeechBatch(*stack_features(features), list(masks), *self.encode_texts(texts), list(texts))

    # --- network

    def build_network(self) -> Network:
        settings = self.settings
        norm = self.norm
        if norm is None:  # its numbers come with the weights
            norm = UtteranceNorm() if settings.normalization == "utterance" else GlobalNorm(self.form.width)
        return Network(
            len(self.vocabulary), self.form.width, spectral=self.form.spectral, norm=norm,
            subsampling=settings.subsampling, encoder=settings.encoder, size=settings.size, layers=settings.layers,
            dropout=settings.dropout,
        )  # fmt: skip

    def advise_frames(self) -> str:
        return "--subsampling 2 gives twice as many" if self.stride > 2 else ""

    def forward(self, network: nn.Module, batch: SpeechBatch) -> Outputs:
        logits, frames = network(batch.features, batch.lengths, batch.masks)
        return {"logits": logits, "logit_lengths": frames}

    def empty_input(self, batch: SpeechBatch) -> SpeechBatch:
        return replace(batch, features=torch.zeros_like(batch.features))

    # --- measuring

    def make_error_rates(self) -> dict[str, Accumulator]:
        return {metric.name: ErrorRate(metric.name) for metric in self.metrics if metric.name in RATES}

    def scored(self, text: str) -> str:
        """The text that is compared: of phones, TIMIT's 39 classes."""
        return " ".join(fold_to_39(text.split())) if self.settings.units == "phones" else text

    # --- using a trained run

    def sound(self, source: Source, index: int) -> str:
        samples = source.samples(index) if isinstance(source, Recordings | Synthetic) else None
        if samples is None:
            return ""
        file = io.BytesIO()
        soundfile.write(file, samples[: SHOWN_SECONDS * self.settings.rate], self.settings.rate, format="FLAC")
        return "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode()

    def logits_of_file(self, network: nn.Module, path: Path) -> Iterator[Tensor]:
        """The logits (frames, classes) of a recording of any length, in chunks."""
        for features, before, after in chunks_of_file(path, self.features, self.form, self.stride):
            logits, frames = network(features[None], torch.tensor([len(features)]))
            yield logits[0, before : max(before, int(frames[0]) - after)]

    @property
    def seconds_per_frame(self) -> float:
        """Of the network's output."""
        return self.stride * self.features.log_mel.hop / self.settings.rate

    def predict(self, network: nn.Module, given: Path) -> SpeechTranscript:
        found = join_paths([find_best_path(logits) for logits in self.logits_of_file(network, given)])
        return make_transcript(given, found, self.vocabulary, self.seconds_per_frame)

    def align(self, network: nn.Module, given: Path, text: str) -> Alignment:
        """When each character and word, or each phone, of a text is said in a recording of any length."""
        require_file(given, "a recording")
        return align_text(
            given, text, self.logits_of_file(network, given), self.vocabulary,
            subsampling=self.stride, seconds_per_frame=self.seconds_per_frame,
        )  # fmt: skip

    def draw_input(self, batch: Any, row: int) -> np.ndarray:
        """The features, low frequencies below."""
        features: Tensor = batch.features[row, : int(batch.lengths[row])]
        shown = features.T.flip(0).numpy()
        low, high = np.quantile(shown, [0.02, 0.998])
        return np.asarray(np.clip((shown - low) / max(1e-6, high - low), 0, 1))
