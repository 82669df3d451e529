"""Triangular filters that are equally wide on the mel scale of Slaney's Auditory Toolbox, the default of librosa.

The scale is linear up to 1 kHz (200/3 Hz per mel) and logarithmic from there (27 mel per factor of 6.4). Filter k rises
from 0 at edge k to its peak at edge k + 1 and falls to 0 at edge k + 2; the edges are equally spaced in mel from 0 to
half the sampling rate. Each filter is divided by half its width in Hz, so that all have the same area.

References:
    M. Slaney, "Auditory Toolbox", Interval Research, 1998.
    librosa.filters.mel(htk=False, norm="slaney")
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27


def mel_of_hz(frequency: Tensor) -> Tensor:
    """Frequencies in mel."""
    above = BREAK_MEL + (frequency.clamp(min=BREAK_HZ) / BREAK_HZ).log() / LOG_STEP
    return torch.where(frequency < BREAK_HZ, frequency / HZ_PER_MEL, above)


def hz_of_mel(mel: Tensor) -> Tensor:
    """Frequencies in Hz."""
    above = BREAK_HZ * ((mel - BREAK_MEL) * LOG_STEP).exp()
    return torch.where(mel < BREAK_MEL, mel * HZ_PER_MEL, above)


def mel_filters(rate: int, fft_size: int, filters: int) -> Tensor:
    """The weights of the bins of a spectrum in each filter.

    Args:
        rate: sampling rate in Hz.
        fft_size: samples per spectrum, even.
        filters: their number.

    Returns:
        float64 (fft_size / 2 + 1, filters).
    """
    bins = torch.arange(fft_size // 2 + 1, dtype=torch.float64) * (rate / fft_size)
    highest = mel_of_hz(torch.tensor(rate / 2, dtype=torch.float64))
    edges = hz_of_mel(highest * torch.arange(filters + 2, dtype=torch.float64) / (filters + 1))
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (peak - low)
    falling = (high - bins[:, None]) / (high - peak)
    return torch.minimum(rising, falling).clamp(min=0) * (2 / (high - low))
