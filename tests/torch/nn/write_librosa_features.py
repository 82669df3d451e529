"""Write what librosa computes of a few sounds to `librosa_features.npz`: python write_librosa_features.py

Run it where librosa is installed; seqloss does not need it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import librosa
import numpy as np
import scipy

CASES = {"at_16000": (16_000, 80, 4_321), "at_8000": (8_000, 40, 2_000), "at_22050": (22_050, 80, 5_000)}
"""Sampling rate, filters, samples."""


def make_sound(rate: int, count: int) -> np.ndarray:
    """A rising tone over faint noise, its first quarter digital silence: int16, 60 dB of range."""
    time = np.arange(count) / rate
    tone = 0.5 * np.sin(2 * np.pi * (200 * time + 5000 * time**2)) * np.exp(-20 * time)
    noise = 0.001 * np.random.default_rng(0).normal(size=count)
    return np.round(32767 * (tone + noise) * (time > time[-1] / 4)).astype(np.int16)


def main() -> None:
    found = {"versions": f"librosa {librosa.__version__}, NumPy {np.__version__}, SciPy {scipy.__version__}"}
    for name, (rate, filters, count) in CASES.items():
        sound = make_sound(rate, count)
        window = round(0.025 * rate)
        energies = librosa.feature.melspectrogram(
            y=sound / 32768, sr=rate, n_fft=window + window % 2, win_length=window, hop_length=round(0.01 * rate),
            n_mels=filters,
        )  # fmt: skip
        found[name] = sound
        found[f"{name}_features"] = np.log(np.maximum(1e-10, energies)).T.astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("librosa_features.npz"), **found)
    sys.stdout.write(f"{found['versions']}\n")


if __name__ == "__main__":
    main()
