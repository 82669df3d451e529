"""Features with zero mean and unit deviation: over a training set, or over each utterance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from seqloss.errors import DataError, OptionError, wrong_dtype, wrong_rank
from seqloss.torch.nn.padding import check_lengths, mask_padding
from seqloss.torch.nn.sizes import check_sizes

SMALLEST_DEVIATION = 1e-5
"""A feature that varies less is taken as constant: it is not scaled up to a unit deviation."""


class GlobalNorm(nn.Module):
    """Subtract the mean of each feature over a training set and divide by its deviation.

    Mean and deviation are buffers: they are saved with the model. Until `fit`, features pass unchanged. The result has
    the type that PyTorch promotes features and buffers to: half types become float32, unless the module is of a half
    type, too.

    Args:
        features: per frame.

    Raises:
        OptionError: `features` is no whole number of at least 1.
        ShapeError: another rank or number of features, in `fit` or in a call, or not one length per row.
        DTypeError: features that are no floats, or lengths that are no integers.
        LengthError: a length below 0 or beyond the frames, in a call. Lengths on an accelerator are not checked.

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
        check_sizes(features=features)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    @torch.no_grad()
    def fit(self, utterances: Iterable[Tensor]) -> GlobalNorm:
        """Take mean and deviation of features, one utterance at a time, in float64.

        Args:
            utterances: each (frames, features), floats, without padding; the order changes nothing but the last
                rounding.

        Raises:
            OptionError: no frames at all.
            ShapeError: an utterance has another rank or number of features.
            DTypeError: an utterance is no tensor of floats.
            DataError: a feature is not finite.
        """
        count, mean = 0, torch.zeros((), dtype=torch.float64)
        squares = mean
        for number, utterance in enumerate(utterances):
            self.check_utterance(f"utterances[{number}]", utterance)
            count, mean, squares = merge_moments(count, mean, squares, utterance.cpu().double())
        if not count:
            raise OptionError("GlobalNorm.fit: found no frames, expected the features of the training set.")
        deviation = (squares / count).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation < SMALLEST_DEVIATION, 1.0, deviation))
        return self

    def forward(self, features: Tensor, lengths: Tensor | Sequence[int]) -> Tensor:
        """Normalised features (batch, frames, features), 0 in the padding.

        Args:
            features: (batch, frames, features).
            lengths: frames of each row, integers (batch,), a tensor or a list.
        """
        check_features(features, len(self.mean))
        lengths = check_lengths(lengths, len(features), features.shape[1], "frames")
        return mask_padding((features - self.mean) / self.deviation, lengths)

    def check_utterance(self, name: str, utterance: Tensor) -> None:
        """Raise an error unless an utterance is (frames, features), floats and finite."""
        check_floats(name, utterance)
        if utterance.dim() != 2 or utterance.shape[1] != len(self.mean):
            hint = "Give a list of utterances: fit([features])." if utterance.dim() == 1 else ""
            raise wrong_rank(name, utterance.shape, f"(frames, {len(self.mean)})", hint)
        if not utterance.isfinite().all():
            frame, feature = (~utterance.isfinite()).nonzero()[0].tolist()
            raise DataError(
                f"{name}, frame {frame}, feature {feature}: found {utterance[frame, feature]:g}, expected a finite "
                "number; leave this utterance out, or mend its samples."
            )

    def extra_repr(self) -> str:
        return f"features={len(self.mean)}"


def check_floats(name: str, features: Tensor) -> None:
    """Raise a `DTypeError` for anything but a tensor of floats."""
    if not isinstance(features, Tensor) or not features.is_floating_point():
        found = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise wrong_dtype(name, found, "a tensor of floats")


def check_features(features: Tensor, size: int | None = None) -> None:
    """Raise an error unless features are floats (batch, frames, features), of a known number if it is given."""
    check_floats("features", features)
    if features.dim() != 3 or size not in (None, features.shape[2]):
        expected = f"(batch, frames, {'features' if size is None else size})"
        hint = "Add a batch axis with features[None]." if features.dim() == 2 else ""
        raise wrong_rank("features", features.shape, expected, hint)


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
    counted. The result has the type of the features, also a half type; it is computed in float64 and rounded at the
    end.

    Raises:
        ShapeError: the features are not (batch, frames, features), or there is not one length per row, in a call.
        DTypeError: features that are no floats, or lengths that are no integers, in a call.
        LengthError: a length below 0 or beyond the frames, in a call. Lengths on an accelerator are not checked.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import UtteranceNorm
        >>> UtteranceNorm()(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2])).squeeze().tolist()
        [-1.0, 1.0, 0.0]
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, features: Tensor, lengths: Tensor | Sequence[int]) -> Tensor:
        """Normalised features (batch, frames, features), 0 in the padding.

        Args:
            features: (batch, frames, features).
            lengths: frames of each row, integers (batch,), a tensor or a list.
        """
        check_features(features)
        lengths = check_lengths(lengths, len(features), features.shape[1], "frames").to(features.device)
        counts = lengths.clamp(min=1)[:, None, None]
        precise = features if features.device.type == "mps" else features.double()
        frames = mask_padding(precise, lengths)
        centred = mask_padding(frames - frames.sum(1, keepdim=True) / counts, lengths)
        variance = centred.square().sum(1, keepdim=True) / counts
        varies = variance >= SMALLEST_DEVIATION**2
        scale = torch.where(varies, variance, 1).rsqrt() * varies  # the root has no derivative at 0
        return (centred * scale).to(features.dtype)
