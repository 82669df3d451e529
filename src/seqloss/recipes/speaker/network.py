"""The speaker network: convolutions over time, mean and deviation over the frames, two linear layers.

References:
    D. Snyder, D. Garcia-Romero, G. Sell, D. Povey, S. Khudanpur: X-vectors: robust DNN embeddings for speaker
        recognition. ICASSP 2018.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from seqloss.torch.nn import GlobalNorm
from seqloss.torch.nn.padding import mask_padding, within_lengths


class Network(nn.Module):
    """Features (batch, frames, features) to embeddings (batch, dimensions).

    What lies past a row's length is set to 0 before each convolution and left out of mean and deviation, so that a
    recording gets the same embedding in any batch.

    Args:
        features: per frame.
        norm: scales the features.
        size: channels of the convolutions.
        dimensions: values of an embedding.
        dropout: share of values that are set to 0 in training.
    """

    DILATIONS: ClassVar[tuple[int, ...]] = (1, 2, 3)
    """Of the convolutions after the first one, which halves the frames."""

    def __init__(self, features: int, *, norm: GlobalNorm, size: int, dimensions: int, dropout: float) -> None:
        super().__init__()
        self.norm = norm
        self.layers = nn.ModuleList(
            [nn.Conv1d(features, size, 5, stride=2, padding=2)]
            + [nn.Conv1d(size, size, 3, padding=dilation, dilation=dilation) for dilation in self.DILATIONS]
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in self.layers)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * size, size)
        self.head = nn.Linear(size, dimensions)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        x = self.norm(features, lengths)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = mask_padding(x, lengths).transpose(1, 2)
            lengths = (lengths + 1) // 2 if number == 0 else lengths
            x = self.dropout(nn.functional.silu(norm(layer(x).transpose(1, 2))))
        x = self.dropout(nn.functional.silu(self.hidden(pool_statistics(x, lengths))))
        found: Tensor = self.head(x)
        return found


def pool_statistics(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean and deviation over the frames of each row: (batch, frames, size) to (batch, 2 * size)."""
    used = within_lengths(x, lengths)[:, :, None]
    count = lengths.to(x.device).clamp(min=1)[:, None]
    mean = torch.where(used, x, 0).sum(1) / count
    squares = torch.where(used, (x - mean[:, None]).square(), 0).sum(1) / count
    return torch.cat([mean, (squares + 1e-5).sqrt()], dim=1)  # a derivative where all frames are the same
