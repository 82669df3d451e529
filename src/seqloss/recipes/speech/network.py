"""The speech network: strided convolutions, an encoder, a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from seqloss.data.spec_augment import Masks
from seqloss.recipes.speech.conformer import Conformer
from seqloss.torch.nn import Recurrent
from seqloss.torch.nn.padding import mask_padding, within_lengths


class SpectralSubsampling(nn.Module):
    """Spectra (batch, frames, features) to (batch, frames / subsampling, size): convolutions over time and frequency.

    What lies past a row's length is set to 0 before each convolution, so that a row gets the same result in any batch.
    """

    CHANNELS: ClassVar[int] = 32

    def __init__(self, features: int, size: int, subsampling: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(1 if n == 0 else self.CHANNELS, self.CHANNELS, 3, stride=2, padding=1)
            for n in range(count_halvings(subsampling))
        )
        self.linear = nn.Linear(self.CHANNELS * -(-features // subsampling), size)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = x[:, None]  # (batch, 1, frames, features)
        for layer in self.layers:
            x = x * within_lengths(x[:, 0], lengths)[:, None, :, None]
            x = nn.functional.silu(layer(x))
            lengths = (lengths + 1) // 2
        return self.linear(x.transpose(1, 2).flatten(2)), lengths


class TimeSubsampling(nn.Module):
    """Any features to (batch, frames / subsampling, size): convolutions over time. The padding counts as 0."""

    def __init__(self, features: int, size: int, subsampling: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(features if n == 0 else size, size, 5, stride=2, padding=2)
            for n in range(count_halvings(subsampling))
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = mask_padding(x, lengths).transpose(1, 2)
            x = nn.functional.silu(layer(x)).transpose(1, 2)
            lengths = (lengths + 1) // 2
        return x, lengths


def count_halvings(subsampling: int) -> int:
    """Convolutions of stride 2: one for 2, two for 4."""
    return subsampling.bit_length() - 1


class RecurrentEncoder(nn.Module):
    """Layers of a bidirectional LSTM, each with a layer norm before it and dropout after it."""

    def __init__(self, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(layers))
        self.layers = nn.ModuleList(Recurrent("lstm", size, size // 2, bidirectional=True) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        for number, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            outputs, _ = layer(norm(x), lengths, with_last=False)
            found = self.dropout(outputs)
            x = found if number == 0 else x + found
        return x


class Network(nn.Module):
    """Features (batch, frames, features) to logits (batch, frames / subsampling, classes).

    Args:
        classes: the blank included.
        features: per frame.
        spectral: whether features next to each other are near in frequency.
        norm: scales the features: (features, lengths) to features.
        subsampling: input frames per output frame, 2 or 4.
        encoder: "lstm" or "conformer".
        size: of the encoder's frames.
        layers: of the encoder.
        dropout: share of values that are set to 0 in training.
    """

    def __init__(
        self, classes: int, features: int, *, spectral: bool, norm: nn.Module, subsampling: int, encoder: str,
        size: int, layers: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm = norm
        self.subsample = (SpectralSubsampling if spectral else TimeSubsampling)(features, size, subsampling)
        self.before = nn.Dropout(dropout)
        self.encoder: nn.Module
        if encoder == "lstm":
            self.encoder = RecurrentEncoder(size, layers, dropout)
        else:
            self.encoder = Conformer(size, layers, dropout=dropout)
        self.after = nn.LayerNorm(size)
        self.head = nn.Linear(size, classes)

    def forward(self, features: Tensor, lengths: Tensor, masks: Sequence[Masks | None] = ()) -> tuple[Tensor, Tensor]:
        """Logits, and the number of frames of each row.

        Args:
            features: (batch, frames, features).
            lengths: (batch,), on the host.
            masks: stripes of each row that are set to the mean.
        """
        x = self.norm(features, lengths)
        for number, stripes in enumerate(masks):
            if stripes:
                stripes.fill(x[number])
        x, lengths = self.subsample(x, lengths)
        x = self.encoder(self.before(x), lengths)
        return self.head(self.after(x)), lengths
