"""Anomaly scores of windows: fitted on the first half of the validation windows, the threshold on the second half."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqloss.errors import SeqLossError
from seqloss.numpy import Detection, ErrorDistribution, choose_threshold, measure_detection
from seqloss.recipes.autoencoder.settings import Settings


class Errors(NamedTuple):
    """Absolute errors (windows, steps, channels) of windows as they are, and of the same windows with an anomaly."""

    normal: np.ndarray
    planted: np.ndarray


class Detector(NamedTuple):
    """Scores of the steps of normal windows, and the threshold above which a step is anomalous."""

    distribution: ErrorDistribution
    threshold: float

    def measure(self, errors: Errors, beta: float) -> Detection:
        """Precision and recall over windows: one counts as anomalous if any of its steps does."""
        scores, planted = window_scores(self.distribution, errors)
        return measure_detection(scores, planted, self.threshold, beta=beta)


def window_scores(distribution: ErrorDistribution, errors: Errors) -> tuple[np.ndarray, np.ndarray]:
    """The largest score of each window, and whether an anomaly was planted in it: (2 windows,)."""
    scores = np.concatenate([distribution.score(part).max(1) for part in errors])
    return scores, np.arange(len(scores)) >= len(errors.normal)


def fit_detector(validation: Errors, settings: Settings) -> Detector | None:
    """The detector of the validation windows, in their order; None where they are too few or not finite."""
    half = len(validation.normal) // 2
    try:
        distribution = ErrorDistribution.fit(validation.normal[:half])
        scores, planted = window_scores(distribution, Errors(validation.normal[half:], validation.planted[half:]))
        if settings.quantile is not None:
            return Detector(distribution, choose_threshold(scores[~planted], quantile=settings.quantile))
        return Detector(distribution, choose_threshold(scores, planted, beta=settings.beta))
    except SeqLossError:  # such as errors of an epoch in which the loss diverged
        return None
