"""Reconstruction and score of windows by the best epoch of a run, joined over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqloss.errors import RunError
from seqloss.recipes.autoencoder.data import Windows, stack_windows
from seqloss.recipes.autoencoder.network import Network
from seqloss.recipes.autoencoder.scoring import Detector, Errors, fit_detector
from seqloss.recipes.autoencoder.settings import Settings


@dataclass(frozen=True)
class Reconstructed:
    """Windows with their reconstruction, all float64 and in deviations.

    Attributes:
        inputs: (windows, steps, channels).
        outputs: their reconstruction.
        errors: |input - output|; with differences, of the differences: one step fewer.
        mean_error: the mean squared error of the reconstruction, over that of each window's own mean.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    errors: np.ndarray
    mean_error: tuple[float, float]


def reconstruct(network: Network, windows: Tensor, batch: int) -> Reconstructed:
    """Reconstruct windows (windows, steps, channels)."""
    with torch.inference_mode():
        parts = [(network(part), part) for part in windows.split(batch)]
        outputs = torch.cat([network.to_windows(part, found) for found, part in parts])
        differences = [(found - network.targets(part), network.targets(part)) for found, part in parts]
    errors = torch.cat([error for error, _ in differences]).double().numpy()
    targets = torch.cat([target for _, target in differences]).double().numpy()
    around = targets - targets.mean(axis=1, keepdims=True)
    values = windows.double().numpy(), outputs.double().numpy(), np.abs(errors)
    return Reconstructed(*values, (float((errors**2).mean()), float((around**2).mean())))


def windows_of(source: Windows) -> tuple[Tensor, Tensor, Tensor]:
    """All windows of a held-out split: as they are, with an anomaly each, and which steps are anomalous."""
    batch = stack_windows([source.item(0, index) for index in range(len(source))])
    assert batch.planted is not None
    assert batch.anomalous is not None
    return batch.values, batch.planted, batch.anomalous


def detector_of(network: Network, validation: Windows, settings: Settings) -> Detector:
    """The detector of the validation windows.

    Raises:
        RunError: they are too few, or the network's outputs are not finite.
    """
    normal, planted, _ = windows_of(validation)
    errors = Errors(*(reconstruct(network, part, settings.batch).errors for part in (normal, planted)))
    found = fit_detector(errors, settings)
    if found is None:
        raise RunError("the validation windows are too few for their channels to estimate scores; give more rows.")
    return found


def scores_over_steps(detector: Detector, errors: np.ndarray, steps: int) -> np.ndarray:
    """The score of each step (windows, steps); with differences, the first step of a window has that of the second."""
    found = detector.distribution.score(errors)
    return found if found.shape[1] == steps else np.concatenate([found[:, :1], found], axis=1)
