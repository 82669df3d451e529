"""The logarithm of mel-filtered power spectra, as librosa computes it.

Frame t of samples x, with hop H, window w of N samples (a periodic Hann window), filters M:

    power[t, f] = | sum over n of w[n] x[t H + n - N/2] exp(-2 pi i f n / F) |^2
    features[t, k] = log(max(1e-10, sum over f of power[t, f] M[f, k]))

Frames are centred: frame t is around sample t H, and what lies before the first and after the last sample counts as 0.
So n samples have 1 + n // H frames. The FFT size F is N, made even, and doubled until no filter is empty; a window that
is shorter than F stands in its middle.

Samples have a full scale of 1. Rounding to 16 bits adds noise with a mean energy of 3e-10 in each filter at 16 kHz. The
floor of 1e-10 (natural logarithm -23.03) is below that noise, and is there for digital silence.

For float32 samples and 80 filters at 16 kHz this is within 1e-5 of

    np.log(np.maximum(1e-10, librosa.feature.melspectrogram(
        y=samples.astype(np.float64), sr=16000, n_fft=400, hop_length=160, n_mels=80)))

of librosa 0.11. Spectra are computed in float64: in float32, a filter 60 dB below the loudest bin of its frame would be
off by 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqloss.errors import LengthError, OptionError, wrong_dtype, wrong_rank
from seqloss.torch.nn.mel_filters import mel_filters
from seqloss.torch.nn.padding import check_lengths, mask_padding
from seqloss.torch.nn.sizes import check_sizes

FLOOR = 1e-10


def frames_of_samples(samples: int, hop: int = 160) -> int:
    """Count the frames of a sound: 1 + samples // hop, but none without samples.

    Args:
        samples: of the sound, without padding.
        hop: samples from one frame to the next.

    Returns:
        number of frames.

    Raises:
        LengthError: a negative number of samples, or no hop.

    Example:
        >>> from seqloss.torch.nn import frames_of_samples
        >>> frames_of_samples(16_000)
        101
    """
    if samples < 0 or hop < 1:
        raise LengthError(f"samples: found {samples} with hop {hop}, expected at least 0 and a hop of at least 1.")
    return 1 + samples // hop if samples else 0


class LogMel(nn.Module):
    """Compute the log-mel features of a batch of sounds.

    The features of a row are independent of its padding, whose samples are never used.

    Args:
        rate: sampling rate in Hz.
        filters: features per frame.
        window_seconds: length of a frame.
        hop_seconds: from one frame to the next.

    Attributes:
        window: samples per frame.
        hop: samples from one frame to the next.
        fft_size: samples per spectrum.

    Raises:
        OptionError: a window or hop of less than a sample, or `filters` is no whole number of at least 1.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import LogMel
        >>> features, lengths = LogMel()(torch.zeros(2, 16_000), torch.tensor([16_000, 800]))
        >>> features.shape, lengths.tolist()
        (torch.Size([2, 101, 80]), [101, 6])
    """

    def __init__(
        self, rate: int = 16_000, filters: int = 80, window_seconds: float = 0.025, hop_seconds: float = 0.01
    ) -> None:
        super().__init__()
        check_sizes(filters=filters)
        self.rate, self.filters = rate, filters
        self.window, self.hop = round(rate * window_seconds), round(rate * hop_seconds)
        if min(self.window, self.hop) < 1:
            raise OptionError(f"LogMel: found window {self.window}, hop {self.hop} samples, expected 1 or more.")
        self.fft_size = self.window + self.window % 2
        while not (weights := mel_filters(rate, self.fft_size, filters)).any(0).all():
            self.fft_size *= 2
        # no buffers: they follow from the arguments, and `half()` or `float()` may not round them
        self.hann, self.weights = torch.hann_window(self.window, dtype=torch.float64), weights

    def extra_repr(self) -> str:
        return f"rate={self.rate}, filters={self.filters}, window={self.window}, hop={self.hop}, fft={self.fft_size}"

    def frames_of_samples(self, samples: int) -> int:
        """How many frames a sound has."""
        return frames_of_samples(samples, self.hop)

    def seconds_of_frame(self, frame: int) -> float:
        """The time that a frame is centred at."""
        return frame * self.hop / self.rate

    def forward(self, samples: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Compute the features.

        Args:
            samples: (batch, samples), full scale is -1 to 1.
            lengths: samples of each row without padding, integers (batch,), a tensor or a list; None for all.

        Returns:
            features, float32 (batch, frames, filters), 0 in the padding; and frames of each row, int64 (batch,).

        Raises:
            ShapeError: the samples have another rank, or there is not one length per row.
            DTypeError: samples that are no floats, or lengths that are no integers.
            LengthError: a length below 0 or beyond the samples. Lengths on an accelerator are not checked.
        """
        lengths = self.check(samples, lengths).to(samples.device)
        frames = torch.where(lengths > 0, 1 + lengths // self.hop, 0)
        if not samples.numel():
            longest = self.frames_of_samples(samples.shape[1])
            return samples.new_zeros(len(samples), longest, self.filters, dtype=torch.float32), frames
        return mask_padding(self.transform(mask_padding(samples, lengths)), frames), frames

    def transform(self, samples: Tensor) -> Tensor:
        """The features of samples without padding: (batch, samples) to float32 (batch, frames, filters)."""
        precise = torch.float32 if samples.device.type == "mps" else torch.float64
        spectra = torch.stft(
            samples.to(precise), self.fft_size, self.hop, self.window, self.hann.to(samples.device, precise),
            center=True, pad_mode="constant", return_complex=True,
        )  # fmt: skip
        power = spectra.real.square() + spectra.imag.square()  # (batch, bins, frames)
        energies = power.transpose(1, 2) @ self.weights.to(samples.device, precise)
        return energies.clamp(min=FLOOR).log().float()

    def check(self, samples: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
        """The lengths as int64, after shapes and types are checked."""
        if samples.dim() != 2:
            raise wrong_rank("samples", samples.shape, "(batch, samples)", "Several channels are averaged before.")
        if not samples.is_floating_point():
            raise wrong_dtype("samples", samples.dtype, "floats with a full scale of -1 to 1")
        if lengths is None:
            return torch.full((len(samples),), samples.shape[1])
        return check_lengths(lengths, len(samples), samples.shape[1], "samples")
