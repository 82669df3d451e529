"""The OCR network: convolutions, a bidirectional LSTM, a linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Network(nn.Module):
    """Lines (batch, 1, height, width) to logits (batch, frames, classes), one frame per 4 pixels.

    What is right of a line's own width is set to 0 after each layer, so that a line gets the same logits in any batch.
    The two layer norms shorten the phase in which CTC networks predict only blanks: on the captcha data it ends after
    3 epochs, without them after 25.

    Args:
        classes: the blank included.
        height: of the lines, a multiple of 16.
    """

    LAYERS = (
        (1, 24, (2, 2)),
        (24, 48, (2, 2)),
        (48, 96, (2, 1)),
        (96, 96, (2, 1)),
    )  # channels in, out; pooling

    def __init__(self, classes: int, height: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after, _ in self.LAYERS
        )
        features = 96 * height // 16
        self.before = nn.Sequential(nn.LayerNorm(features), nn.Dropout(0.2))
        self.recurrent = nn.LSTM(features, 128, bidirectional=True, batch_first=True)
        self.after = nn.Sequential(nn.LayerNorm(256), nn.Dropout(0.2))
        self.head = nn.Linear(256, classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the number of frames of each line."""
        x, columns = images.contiguous(memory_format=torch.channels_last), widths
        for layer, (_, _, pooling) in zip(self.layers, self.LAYERS, strict=True):
            x = layer(x)
            x = x * (torch.arange(x.shape[3]) < columns[:, None]).to(x)[:, None, None]  # before pooling mixes columns
            x = nn.functional.max_pool2d(x, pooling, ceil_mode=True)
            columns = (columns + pooling[1] - 1) // pooling[1]
        x = self.before(x.permute(0, 3, 1, 2).flatten(2))  # (batch, frames, channels * height / 16)
        packed = pack_padded_sequence(x, columns, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.head(self.after(x)), columns
