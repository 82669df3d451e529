"""The workloads that speed is measured on: scores about 3 N(0, 1), labels uniform over 1..C-1, seed 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    name: str
    frames: int
    batch: int
    classes: int
    labels: int

    def draw(self, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
        """Scores (batch, time, classes) and targets (batch, labels)."""
        rng = np.random.default_rng(0)
        scores = 3.0 * rng.standard_normal((self.batch, self.frames, self.classes))
        return scores.astype(dtype), rng.integers(1, self.classes, (self.batch, self.labels))

    def learnt(self, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
        """As `draw`, as a model that has learnt scores: blank nearly everywhere, a peak of a frame or two a label."""
        rng = np.random.default_rng(1)
        scores = rng.standard_normal((self.batch, self.frames, self.classes))
        targets = rng.integers(1, self.classes, (self.batch, self.labels))
        scores[:, :, 0] += 8.0
        for row, target in enumerate(targets):
            places = np.sort(rng.choice(self.frames, self.labels, replace=False))
            scores[row, places, target] += rng.uniform(8.0, 20.0, self.labels)
        return scores.astype(dtype), targets


WORKLOADS = [
    Workload("ocr", 64, 64, 96, 12),
    Workload("phone", 300, 16, 48, 40),
    Workload("char", 800, 16, 32, 120),
    Workload("bpe", 400, 16, 1024, 60),
    Workload("bpe5k", 250, 16, 5000, 50),
    Workload("long", 4000, 4, 32, 800),
]
SMALL = [
    Workload("tiny", 10, 1, 5, 2),
    Workload("one row", 50, 1, 30, 10),
    Workload("four rows", 50, 4, 30, 10),
]
"""Where the cost of a call counts for more than its arithmetic."""
