"""Error rates of texts, counted by jiwer: edits over the length of the targets, over all texts together."""

from __future__ import annotations

from typing import Any

import jiwer
import torch
from torchmetrics import Metric


class ErrorRate(Metric):
    """Character or word error rate.

    Args:
        unit: "characters" or "words"; phones are words.

    Example:
        >>> rate = ErrorRate("words")
        >>> rate.update("one too", "one two")
        >>> float(rate.compute())
        0.5
    """

    errors: torch.Tensor
    total: torch.Tensor

    def __init__(self, unit: str, **options: Any) -> None:
        super().__init__(**options)
        self.count = jiwer.process_characters if unit == "characters" else jiwer.process_words
        self.add_state("errors", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, text: str, target: str) -> None:
        """Count the edits from a predicted text to its target, which is not empty."""
        found = self.count(target, text)
        self.errors += found.substitutions + found.deletions + found.insertions
        self.total += found.hits + found.substitutions + found.deletions

    def compute(self) -> torch.Tensor:
        return self.errors / self.total.clamp(min=1)
