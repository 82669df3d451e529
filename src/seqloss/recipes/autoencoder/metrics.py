"""Precision and recall of planted anomalies, which take the errors of the whole split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from seqloss.recipes.autoencoder.data import Batch
from seqloss.recipes.autoencoder.scoring import Detector, Errors, fit_detector
from seqloss.recipes.autoencoder.settings import Settings


class DetectionMetric(Metric):
    """Precision or recall. The detector is fitted on the validation split, where that comes; NaN without one.

    Args:
        settings: of the run.
        name: "precision" or "recall".
    """

    normal: list[Tensor]
    planted: list[Tensor]
    numbers: list[Tensor]
    detector: Detector | None = None
    fitting = False

    def __init__(self, settings: Settings, name: str, **options: Any) -> None:
        super().__init__(**options)
        self.settings, self.name = settings, name
        for state in ("normal", "planted", "numbers"):
            self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, normal: Tensor, planted: Tensor, batch: Batch) -> None:
        """Keep the absolute errors (batch, steps, channels) of a batch."""
        self.fitting = batch.split == "validation"
        self.normal.append(normal.detach().float())
        self.planted.append(planted.detach().float())
        self.numbers.append(batch.numbers.to(normal.device))

    def compute(self) -> Tensor:
        if not self.numbers:
            return torch.tensor(torch.nan)
        numbers = dim_zero_cat(self.numbers).cpu().numpy()
        _, first = np.unique(numbers, return_index=True)  # in the order of time, each window once
        normal, planted = (dim_zero_cat(state).cpu().double().numpy()[first] for state in (self.normal, self.planted))
        errors = Errors(normal, planted)
        if self.fitting:
            self.detector = fit_detector(errors, self.settings)
        if self.detector is None or not all(np.isfinite(part).all() for part in errors):
            return torch.tensor(torch.nan)
        return torch.tensor(getattr(self.detector.measure(errors, self.settings.beta), self.name))
