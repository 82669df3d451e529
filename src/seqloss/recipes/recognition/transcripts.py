"""The transcript of one input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloss.data import Vocabulary
from seqloss.data.reading_order import ReadingOrder
from seqloss.torch import Greedy


@dataclass(frozen=True)
class Transcript:
    """The text of one input.

    Attributes:
        path: of the input.
        text: of the best path, in logical order.
        score: log-probability of the best path.
        characters: for each character, from left to right as the input shows them, its first and last frame, and its
            confidence: exp of the mean log-probability over these frames.
    """

    path: str
    text: str
    score: float
    characters: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.path}\t{self.text}"


def make_transcript(path: Path, found: Greedy, vocabulary: Vocabulary, order: ReadingOrder) -> Transcript:
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
    text = order.to_logical(vocabulary.decode(found.labels.tolist()))
    return Transcript(str(path), text, round(found.score, 6), characters)
