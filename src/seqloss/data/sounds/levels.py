"""The levels of a sound, collected block by block: silent, clipped, unscaled or non-finite samples."""

from __future__ import annotations

import numpy as np

from seqloss.errors import DataError

QUIETEST = 1e-4
"""A sound that stays within plus or minus this of one value is silent: -80 dB of full scale, 3 steps of 16 bits."""

CLIPPED_SHARE = 0.1
UNSCALED = 16.0
"""A sample beyond this is an integer that was stored as a float. Lossy formats overshoot full scale up to 2 or so."""

FULL_SCALE = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
OF_16_BITS = 32767 / 32768
LOSSY = ("MPEG", "VORBIS", "OPUS", "ADPCM", "GSM")
OF_LOSSY = 0.9
"""A lossy format turns a clipped peak into a ripple around full scale. The share of samples above 0.9 is then that of
the clipped ones before: 9 to 12 % for 10 % of speech in Vorbis, MP3 and Opus at libsndfile's default quality."""


def full_scale_of(subtype: str) -> float:
    """The magnitude from which on a sample of this encoding, as libsndfile names it, counts as clipped."""
    return OF_LOSSY if any(name in subtype for name in LOSSY) else FULL_SCALE.get(subtype, OF_16_BITS)


class Levels:
    """The range of the samples, before and after the channels are averaged, and how many are at full scale.

    Args:
        full_scale: magnitude from which on a sample counts as clipped.
    """

    def __init__(self, full_scale: float) -> None:
        self.full_scale = full_scale - 1e-6
        self.samples = self.clipped = 0
        self.low = self.mono_low = np.inf
        self.high = self.mono_high = -np.inf
        self.non_finite = False

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Add a block (frames, channels) and its average over channels (frames,)."""
        if not block.size:
            return
        low, high = float(block.min()), float(block.max())
        self.non_finite = self.non_finite or not np.isfinite(low + high)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.mono_low, self.mono_high = min(self.mono_low, float(mono.min())), max(self.mono_high, float(mono.max()))
        self.samples += block.size
        if max(-low, high) >= self.full_scale:
            self.clipped += int(np.count_nonzero(np.abs(block) >= self.full_scale))

    def check(self, channels: int) -> None:
        """Raise a `DataError` for the first problem."""
        peak = max(-self.low, self.high)
        if self.non_finite:
            raise DataError("the sound has NaN or infinite samples; write it again as 16-bit PCM")
        if peak > UNSCALED:
            raise DataError(
                f"unscaled: float samples up to {peak:,.6g}, expected -1 to 1; divide them by 32768, or write the "
                "file as 16-bit PCM"
            )
        if self.high - self.low <= 2 * QUIETEST:
            raise DataError(
                f"silent: all samples are within {self.low:.2g} to {self.high:.2g}, full scale is -1 to 1; remove it"
            )
        if self.mono_high - self.mono_low <= 2 * QUIETEST:
            raise DataError(
                f"silent: its {channels} channels cancel each other when they are averaged; keep one channel of it"
            )
        if self.clipped > CLIPPED_SHARE * self.samples:
            raise DataError(
                f"clipped: {self.clipped / self.samples:.0%} of the samples are at full scale, at most "
                f"{CLIPPED_SHARE:.0%}; record it again with less gain"
            )
