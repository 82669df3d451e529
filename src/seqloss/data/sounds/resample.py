"""Another sampling rate, by soxr's high-quality filter; and another speed, which is the same operation.

Speed s makes a sound of n samples n / s samples long: tempo and pitch change together, as on a tape. A training set
at 0.9, 1.0 and 1.1 times its speed is the augmentation of Ko et al.

References:
    T. Ko, V. Peddinti, D. Povey, S. Khudanpur, "Audio augmentation for speech recognition", Interspeech 2015.
    The SoX Resampler library, https://sourceforge.net/projects/soxr
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqloss.errors import missing_extra

try:
    import soxr
except ImportError as error:  # pragma: no cover
    raise missing_extra("soxr", "speech", "resampling sounds") from error

VERSION = f"soxr {soxr.__version__}"
QUALITY = "HQ"
SPEEDS = (0.9, 1.0, 1.1)


class Resampler:
    """Resample a sound of one channel block by block; the blocks do not change the result.

    Args:
        rate: of the sound, in Hz.
        to_rate: to resample to; blocks pass unchanged if it is the same.
    """

    def __init__(self, rate: float, to_rate: float) -> None:
        self.stream = None
        if rate != to_rate:
            self.stream = soxr.ResampleStream(rate, to_rate, 1, dtype="float32", quality=QUALITY)

    def __call__(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The samples that are finished after this block; all of them after the last one."""
        return block if self.stream is None else self.stream.resample_chunk(block, last=last)


def change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """A sound at another speed.

    Args:
        samples: float32 (samples,).
        speed: above 1 for a shorter sound of higher pitch.

    Returns:
        float32 (round(samples / speed),), give or take one sample.
    """
    return samples if speed == 1 else Resampler(speed, 1.0)(samples, last=True)


def draw_speed(rng: np.random.Generator, speeds: Sequence[float] = SPEEDS) -> float:
    """One of the speeds, each equally probable; make the generator as `np.random.default_rng([seed, epoch, index])`."""
    return float(speeds[int(rng.integers(len(speeds)))])


def samples_after_speed(samples: int, speed: float) -> int:
    """About how long a sound will be, to sort by length before it is read."""
    return round(samples / speed)
