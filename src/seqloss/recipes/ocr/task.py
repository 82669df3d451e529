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
from seqloss.data.line_heights import HEIGHTS
from seqloss.data.reading_order import ReadingOrder
from seqloss.errors import DataError
from seqloss.recipes.ocr.data import BASE_DIRECTION, MAX_WIDTH, STRIDE, ImageBatch, load_data, stack_lines
from seqloss.recipes.ocr.network import Network
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.recognition.task import RecognitionTask
from seqloss.recipes.recognition.transcripts import Transcript, make_transcript
from seqloss.torch import ctc_greedy
from seqloss.training.run import Run
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
        known = None if self.known_vocabulary is None else (self.known_vocabulary, self.order)
        print_line = print_line or (lambda line: None)
        data, vocabulary, self.order = load_data(self.settings, known, skip_bad, progress, print_line)
        return self.with_vocabulary(data, vocabulary)

    def restore(self, run: Run) -> None:
        super().restore(run)
        self.order = ReadingOrder(self.settings.direction, (run.read_json("settings") or {}).get(BASE_DIRECTION, "ltr"))

    def collate(self, items: Sequence[tuple[np.ndarray, str]]) -> ImageBatch:
        lines, texts = zip(*items, strict=True)
        return ImageBatch(*stack_lines(lines), *self.encode_texts(texts), list(texts))

    def build_network(self) -> Network:
        return Network(len(self.vocabulary), self.settings.height)

    def advise_frames(self) -> str:
        height = self.settings.height
        return f"--height {2 * height} gives twice as many, and takes twice as long" if 2 * height in HEIGHTS else ""

    def forward(self, network: nn.Module, batch: ImageBatch) -> Outputs:
        logits, frames = network(batch.images, batch.widths)
        return {"logits": logits, "logit_lengths": frames}

    def empty_input(self, batch: ImageBatch) -> ImageBatch:
        return replace(batch, images=torch.zeros_like(batch.images))

    def predict(self, network: nn.Module, given: Path) -> Transcript:
        line = read_line(given, self.settings.height, self.settings.rotate)
        if line.shape[1] > MAX_WIDTH:
            raise DataError(f"too wide: {line.shape[1]} pixels once scaled, at most {MAX_WIDTH}; cut it into lines")
        logits, frames = network(*stack_lines([line]))
        return make_transcript(given, ctc_greedy(logits, frames)[0], self.vocabulary, self.order)

    def draw_input(self, batch: Any, row: int) -> np.ndarray:
        line = -batch.images[row, 0, :, : int(batch.widths[row])].numpy()
        return (line - line.min()) / max(1e-6, float(np.ptp(line)))
