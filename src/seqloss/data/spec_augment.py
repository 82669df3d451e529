"""SpecAugment: features with some stripes of time and of frequency masked, so that a network relies on no single one.

Park et al. mask `frequency_masks` stripes of a width drawn from 0 to F features and `time_masks` stripes of 0 to T
frames. One of each is their policy LB, two are LD. Their time warping is left out: they found that it adds least.
Stripes of time may overlap, and together are at most the share `time_share` of the frames, so that a short utterance
keeps most of its sound.

References:
    D. Park, W. Chan, Y. Zhang, C. Chiu, B. Zoph, E. Cubuk, Q. Le, "SpecAugment: a simple data augmentation method for
    automatic speech recognition", Interspeech 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.errors import OptionError

FREQUENCY_SHARE = 27 / 80
"""Widest stripe of frequency, as a share of the features: the paper's 27 of 80."""


@dataclass(frozen=True)
class Masks:
    """Stripes that are masked, each as (start, stop).

    Attributes:
        time: in frames.
        frequency: in features.
    """

    time: tuple[tuple[int, int], ...]
    frequency: tuple[tuple[int, int], ...]

    def apply(self, features: np.ndarray, value: float = 0.0) -> np.ndarray:
        """A copy of features (frames, features) with the stripes at a value, the mean if they are normalised."""
        masked = np.array(features)
        self.fill(masked, value)
        return masked

    def fill(self, features: Any, value: float = 0.0) -> None:
        """Write a value into the stripes of an array or a tensor (frames, features), for example a row of a batch."""
        for start, stop in self.time:
            features[start:stop] = value
        for start, stop in self.frequency:
            features[:, start:stop] = value


@dataclass(frozen=True)
class SpecAugment:
    """How many stripes are masked, and how wide they may be.

    Attributes:
        frequency_masks: number of stripes of frequency.
        frequency_width: of the widest, in features; None for the paper's share of 27 of 80.
        time_masks: number of stripes of time.
        time_width: of the widest, in frames.
        time_share: of the frames, that all stripes of time together may mask.

    Raises:
        OptionError: a number or width is negative, or `time_share` is outside of 0 to 1.

    Example:
        >>> masks = SpecAugment().draw(200, 80, np.random.default_rng([0, 1, 2]))
        >>> sum(stop - start for start, stop in masks.time) <= 40
        True
    """

    frequency_masks: int = 1
    frequency_width: int | None = None
    time_masks: int = 1
    time_width: int = 100
    time_share: float = 0.2

    def __post_init__(self) -> None:
        counts = (self.frequency_masks, self.frequency_width or 0, self.time_masks, self.time_width)
        if min(counts) < 0 or not 0 <= self.time_share <= 1:
            raise OptionError(f"{self}: expected numbers and widths of at least 0, and a time_share of 0 to 1")

    def draw(self, frames: int, features: int, rng: np.random.Generator) -> Masks:
        """Random stripes.

        Args:
            frames: of the utterance, without padding.
            features: per frame.
            rng: `np.random.default_rng([seed, epoch, index])` gives an utterance the same stripes in any process.
        """
        widest = int(features * FREQUENCY_SHARE) if self.frequency_width is None else self.frequency_width
        frequency = tuple(draw_stripe(features, widest, rng) for _ in range(self.frequency_masks))
        time, left = [], int(self.time_share * frames)
        for _ in range(self.time_masks):
            start, stop = draw_stripe(frames, min(self.time_width, left), rng)
            left -= stop - start
            time.append((start, stop))
        return Masks(tuple(time), frequency)


def draw_stripe(size: int, widest: int, rng: np.random.Generator) -> tuple[int, int]:
    """Start and stop of a stripe of 0 to `widest` of an axis, anywhere on it, all widths equally probable."""
    width = int(rng.integers(min(widest, size), endpoint=True))
    start = int(rng.integers(size - width, endpoint=True))
    return start, start + width
