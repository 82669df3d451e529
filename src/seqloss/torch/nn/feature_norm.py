"""Features with zero mean and unit deviation: over a training set, or over each utterance."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seqloss.errors import OptionError, wrong_rank
from seqloss.torch.nn.padding import check_lengths, mask_padding

SMALLEST_DEVIATION = 1e-5
"""A feature that varies less is taken as constant: it is not scaled up to a unit deviation."""


class GlobalNorm(nn.Module):
    """Subtract the mean of each feature over a training set and divide by its deviation.

    Mean and deviation are buffers: they are saved with the model. Until `fit`, features pass unchanged.

    Args:
        features: per frame.

    Raises:
        ShapeError: another number of features, in `fit` or in a call.
        LengthError: a length beyond the frames, in a call.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import GlobalNorm
        >>> norm = GlobalNorm(1).fit([torch.tensor([[1.0], [3.0]])])
        >>> norm(torch.tensor([[[1.0], [2.0]]]), torch.tensor([2])).tolist()
        [[[-1.0], [0.0]]]
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    @torch.no_grad()
    def fit(self, utterances: Iterable[Tensor]) -> GlobalNorm:
        """Take mean and deviation of features, one utterance at a time, in float64.

        Args:
            utterances: each (frames, features), without padding; the order changes nothing but the last rounding.

        Raises:
            OptionError: no frames at all.
        """
        count, mean = 0, torch.zeros((), dtype=torch.float64)
        squares = mean
        for utterance in utterances:
            self.check(utterance)
            count, mean, squares = merge_moments(count, mean, squares, utterance.cpu().double())
        if not count:
            raise OptionError("GlobalNorm.fit: found no frames, expected the features of the training set.")
        deviation = (squares / count).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation < SMALLEST_DEVIATION, 1.0, deviation))
        return self

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Normalised features (batch, frames, features), 0 in the padding.

        Args:
            features: (batch, frames, features).
            lengths: (batch,), frames of each row.
        """
        self.check(features)
        lengths = check_lengths(lengths, len(features), features.shape[1], "frames")
        return mask_padding((features - self.mean) / self.deviation, lengths)

    def check(self, features: Tensor) -> None:
        """Raise a `ShapeError` for another number of features."""
        if features.shape[-1] != len(self.mean):
            raise wrong_rank("features", features.shape, f"(..., frames, {len(self.mean)})")

    def extra_repr(self) -> str:
        return f"features={len(self.mean)}"


def merge_moments(count: int, mean: Tensor, squares: Tensor, frames: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, mean and sum of squared differences from the mean, with more frames (frames, features).

    References:
        T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
        1979.
    """
    if not len(frames):
        return count, mean, squares
    own, total = frames.mean(0), count + len(frames)
    apart = own - mean
    squares = squares + (frames - own).square().sum(0) + apart.square() * (count * len(frames) / total)
    return total, mean + apart * (len(frames) / total), squares


class UtteranceNorm(nn.Module):
    """Subtract the mean of each feature over the frames of an utterance and divide by its deviation there.

    This removes what is constant in a recording, for example the frequency response of the microphone. Padding is not
    counted.

    Raises:
        LengthError: a length beyond the frames, in a call.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import UtteranceNorm
        >>> UtteranceNorm()(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2])).squeeze().tolist()
        [-1.0, 1.0, 0.0]
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Normalised features (batch, frames, features), 0 in the padding.

        Args:
            features: (batch, frames, features).
            lengths: (batch,), frames of each row.
        """
        lengths = check_lengths(lengths, len(features), features.shape[1], "frames").to(features.device)
        counts = lengths.clamp(min=1)[:, None, None]
        precise = features if features.device.type == "mps" else features.double()
        frames = mask_padding(precise, lengths)
        centred = mask_padding(frames - frames.sum(1, keepdim=True) / counts, lengths)
        variance = centred.square().sum(1, keepdim=True) / counts
        varies = variance >= SMALLEST_DEVIATION**2
        scale = torch.where(varies, variance, 1).rsqrt() * varies  # the root has no derivative at 0
        return (centred * scale).to(features.dtype)
