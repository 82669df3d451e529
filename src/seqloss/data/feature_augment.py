"""Augmentation of features that were read from files, for which there is no sound to play faster or to filter.

* `stretch` interpolates frames, as if the same was said faster or slower. `draw_tempo` draws from a wider range than is
  usual for sounds: the pitch stays, and people differ by that much. Of the speakers of AN4, one says 8.9 characters a
  second and most 5.5; he had half of all errors without this.
* `map_linearly` mixes the features of an utterance with a random matrix near the identity, as if another speaker said
  it: to a first approximation, the cepstra of two speakers differ by an affine map (Cui et al., who estimate the map
  between two speakers of the training data).

References:
    X. Cui, V. Goel, B. Kingsbury, "Data augmentation for deep neural network acoustic modeling", IEEE/ACM Transactions
    on Audio, Speech, and Language Processing, 2015.
"""

from __future__ import annotations

import numpy as np

SPREAD = 0.3
"""Deviation of the random part of a mixed feature, in deviations of the feature."""


TEMPOS = (0.75, 1.55)
"""Slowest and fastest."""


def draw_tempo(rng: np.random.Generator) -> float:
    """A factor of the speed; its logarithm is uniformly distributed."""
    return float(np.exp(rng.uniform(*np.log(TEMPOS))))


def stretch(features: np.ndarray, speed: float) -> np.ndarray:
    """Features (frames, features) at another speed, with linear interpolation between frames.

    Args:
        features: float32.
        speed: 2 halves the number of frames.
    """
    frames = len(features)
    wanted = max(1, round(frames / speed))
    places = np.clip((np.arange(wanted) + 0.5) * (frames / wanted) - 0.5, 0, frames - 1)
    before = np.minimum(places.astype(np.intp), max(0, frames - 2))
    weight = (places - before).astype(features.dtype)[:, None]
    return features[before] * (1 - weight) + features[np.minimum(before + 1, frames - 1)] * weight


def map_linearly(features: np.ndarray, rng: np.random.Generator, spread: float = SPREAD) -> np.ndarray:
    """Features (frames, features), each plus a random combination of all.

    Mean and scale of the utterance are taken off before, and put back after it.

    Args:
        features: float32.
        rng: `np.random.default_rng([seed, epoch, index])` gives an utterance the same map in any process.
        spread: deviation of what is added to a feature, in deviations of the feature, if features are uncorrelated.
    """
    width = features.shape[1]
    mean, deviation = features.mean(0), features.std(0) + np.float32(1e-6)
    matrix = rng.standard_normal((width, width)).astype(features.dtype) * np.float32(spread / width**0.5)
    mapped: np.ndarray = features + ((features - mean) / deviation) @ matrix * deviation
    return mapped
