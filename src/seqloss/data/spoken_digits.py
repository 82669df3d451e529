"""Strings of digits, spoken by a synthesiser: a data set without files, with new recordings in every epoch.

The synthesiser is SVOX Pico (Apache-2.0), from the package ttspico. It has two English voices, which vary in pitch and
speed. Each recording is a function of (seed, split, epoch, index): every process makes the same bits, in any order.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import numpy as np

from seqloss.data.words import SPLITS, Split
from seqloss.errors import missing_extra

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTHS = (2, 6)
"""Fewest and most digits of a string."""

RATE = 16000
VOICES = ("en-US", "en-GB")
PITCHES, SPEEDS = (70, 140), (80, 140)
"""In percent of the voice's own."""


class SpokenDigits:
    """Spoken digits of one split, with noise and at different levels.

    Training items are new in each epoch; validation and test items are the same in every epoch.

    Args:
        split: "train", "validation" or "test".
        size: number of items.
        seed: of the random recordings.

    Example:
        >>> samples, text = SpokenDigits("test", size=10, seed=0).item(epoch=0, index=0)
        >>> samples.dtype.name, set(text.split()) <= set(WORDS)
        ('float32', True)
    """

    def __init__(self, split: Split, size: int, seed: int) -> None:
        self.split, self.size, self.seed = split, size, seed

    def __len__(self) -> int:
        return self.size

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        """Samples at 16 kHz, float32 in [-1, 1], and their text."""
        text, rng = self._draw(epoch, index)
        return _add_noise(_speak(text, rng), rng), text

    def text(self, epoch: int, index: int) -> str:
        """An item's text without its recording."""
        return self._draw(epoch, index)[0]

    def _draw(self, epoch: int, index: int) -> tuple[str, np.random.Generator]:
        if not 0 <= index < self.size:
            raise IndexError(f"index: found {index}, expected 0 to {self.size - 1}")
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), epoch if self.split == "train" else 0, index])
        count = rng.integers(*LENGTHS, endpoint=True)
        return " ".join(WORDS[digit] for digit in rng.integers(0, len(WORDS), count)), rng


def _speak(text: str, rng: np.random.Generator) -> np.ndarray:
    """The synthesiser's samples, with a random voice, pitch and speed."""
    pitch, speed = rng.integers(*PITCHES, endpoint=True), rng.integers(*SPEEDS, endpoint=True)
    marked = f"<pitch level='{pitch}'><speed level='{speed}'>{text}</speed></pitch>"
    # a new engine each time: what one has said before changes its later noise
    said = _engine()(VOICES[rng.integers(len(VOICES))]).speak(marked)
    return np.frombuffer(said, "<i2").astype(np.float32) / 32768


@cache
def _engine() -> Any:
    """The class of synthesisers.

    Its library calls its own functions by names that TensorFlow's libraries have, too: without RTLD_DEEPBIND, those of
    TensorFlow are called if it was imported before, and the process dies.
    """
    flags = sys.getdlopenflags() if hasattr(sys, "getdlopenflags") else None
    try:
        if flags is not None:
            sys.setdlopenflags(flags | getattr(os, "RTLD_DEEPBIND", 0))
        from ttspico import TtsEngine
    except ImportError as error:
        raise missing_extra("ttspico", "speech-demo", "synthetic recordings") from error
    finally:
        if flags is not None:
            sys.setdlopenflags(flags)
    return TtsEngine


def _add_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At a random level, with 10 to 40 dB less noise."""
    power = float(np.sqrt(np.mean(np.square(samples)))) or 1e-3
    noise = rng.standard_normal(len(samples), np.float32) * np.float32(power * 10 ** rng.uniform(-2, -0.5))
    level = rng.uniform(0.2, 0.9) / max(1e-3, float(np.abs(samples + noise).max()))
    return (samples + noise) * np.float32(level)
