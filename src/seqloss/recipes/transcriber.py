"""Reading new pictures with a trained run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqloss.data import Vocabulary, read_line
from seqloss.errors import DataError, RunError
from seqloss.recipes.checkpoints import refuse_other_weights
from seqloss.recipes.lines import MAX_WIDTH, stack
from seqloss.recipes.ocr import Network
from seqloss.recipes.run import Run
from seqloss.torch import Greedy, ctc_greedy


@dataclass(frozen=True)
class Transcript:
    """A picture's text, its log score; for each character its frames and exp of its mean log-probability over them."""

    path: str
    text: str
    score: float
    characters: list[dict[str, Any]]


class Transcriber:
    """Reads pictures with the best epoch of a run.

    Raises:
        RunError: the folder holds no run that has finished an epoch.
    """

    def __init__(self, folder: Path) -> None:
        run = Run(folder)
        settings = run.read("settings")
        if settings is None or not run.vocabulary.exists():
            raise RunError(f"{folder}: holds no run; train one with: seqloss train ocr --out {folder}")
        self.vocabulary = Vocabulary.load(run.vocabulary)
        if settings.get("vocabulary_digest", self.vocabulary.digest) != self.vocabulary.digest:
            raise RunError(f"{run.vocabulary}: is not the vocabulary that this run was trained with; train anew.")
        self.height = int(settings.get("height", 0))
        if not self.height:
            raise RunError(f"{folder}/settings.json: has no height; train anew.")
        self.network = Network(len(self.vocabulary), self.height).eval()
        weights = {name.removeprefix("network."): value for name, value in run.weights().items()}
        refuse_other_weights(self.network, weights)
        self.network.load_state_dict(weights)

    def read(self, path: Path) -> Transcript:
        """One picture.

        Raises:
            DataError: the picture cannot be read.
        """
        line = read_line(path, self.height)
        if line.shape[1] > MAX_WIDTH:
            raise DataError(f"too wide: {line.shape[1]} pixels once scaled, at most {MAX_WIDTH}; cut it into lines")
        pictures, widths = stack([line])
        with torch.inference_mode():
            logits, frames = self.network(pictures, widths)
        return self._transcript(path, ctc_greedy(logits, frames)[0])

    def _transcript(self, path: Path, read: Greedy) -> Transcript:
        characters = [
            {
                "character": self.vocabulary.decode([int(label)]),
                "first_frame": int(first),
                "last_frame": int(last),
                "confidence": round(math.exp(score / (last - first + 1)), 6),
            }
            for label, first, last, score in zip(read.labels, read.first, read.last, read.label_scores, strict=True)
        ]
        return Transcript(str(path), self.vocabulary.decode(read.labels.tolist()), round(read.score, 6), characters)
