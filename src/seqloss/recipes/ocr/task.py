"""The OCR recipe as a task for the training engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seqloss.data import read_line
from seqloss.errors import DataError
from seqloss.recipes.ocr.data import MAX_WIDTH, STRIDE, ImageBatch, load_data, stack_lines
from seqloss.recipes.ocr.network import Network
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.recognition.task import RecognitionTask
from seqloss.recipes.recognition.transcripts import Transcript, make_transcript
from seqloss.torch import ctc_greedy
from seqloss.training.task import Data, Outputs, PrintLine, Progress


class OcrTask(RecognitionTask):
    """Images of text lines to text."""

    name = "ocr"
    item = "image"
    stride = STRIDE
    settings: Settings

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        data, vocabulary = load_data(self.settings, self.known_vocabulary, skip_bad, progress, print_line)
        return self.with_vocabulary(data, vocabulary)

    def collate(self, items: Sequence[tuple[np.ndarray, str]]) -> ImageBatch:
        lines, texts = zip(*items, strict=True)
        return ImageBatch(*stack_lines(lines), *self.encode_texts(texts), list(texts))

    def build_network(self) -> Network:
        return Network(len(self.vocabulary), self.settings.height)

    def forward(self, network: nn.Module, batch: ImageBatch) -> Outputs:
        logits, frames = network(batch.images, batch.widths)
        return {"logits": logits, "logit_lengths": frames}

    def blank_input(self, batch: ImageBatch) -> ImageBatch:
        return replace(batch, images=torch.zeros_like(batch.images))

    def predict(self, network: nn.Module, given: Path) -> Transcript:
        line = read_line(given, self.settings.height)
        if line.shape[1] > MAX_WIDTH:
            raise DataError(f"too wide: {line.shape[1]} pixels once scaled, at most {MAX_WIDTH}; cut it into lines")
        logits, frames = network(*stack_lines([line]))
        return make_transcript(given, ctc_greedy(logits, frames)[0], self.vocabulary)

    def draw_input(self, batch: Any, row: int) -> np.ndarray:
        line = -batch.images[row, 0, :, : int(batch.widths[row])].numpy()
        return (line - line.min()) / max(1e-6, float(np.ptp(line)))
