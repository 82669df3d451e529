"""The transcript of one input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloss.data import Vocabulary
from seqloss.torch import Greedy


@dataclass(frozen=True)
class Transcript:
    """The text of one input.

    Attributes:
        path: of the input.
        text: of the best path.
        score: log-probability of the best path.
        characters: for each character its first and last frame, and its confidence: exp of the mean log-probability
            over these frames.
    """

    path: str
    text: str
    score: float
    characters: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.path}\t{self.text}"


def make_transcript(path: Path, found: Greedy, vocabulary: Vocabulary) -> Transcript:
    """The transcript of a greedy decoding."""
    characters = [
        {
            "character": vocabulary.decode([int(label)]),
            "first_frame": int(first),
            "last_frame": int(last),
            "confidence": round(math.exp(score / (last - first + 1)), 6),
        }
        for label, first, last, score in zip(found.labels, found.first, found.last, found.label_scores, strict=True)
    ]
    return Transcript(str(path), vocabulary.decode(found.labels.tolist()), round(found.score, 6), characters)
