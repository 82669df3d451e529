"""A Conformer encoder: in each block attention sees all frames, and a convolution sees the near ones.

x + FFN(x) / 2,  x + attention(x),  x + convolution(x),  x + FFN(x) / 2,  layer norm

Two things differ from the paper. Positions are rotary, so that attention depends on distances alone. The convolution
has a layer norm instead of a batch norm, so that a row does not depend on the rest of its batch.

Sources: Gulati et al. 2020, arXiv 2005.08100; Su et al. 2021, arXiv 2104.09864.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, scaled_dot_product_attention, silu

from seqloss.torch.nn.padding import within_lengths


class FeedForward(nn.Sequential):
    def __init__(self, size: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(size),
            nn.Linear(size, 4 * size),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * size, size),
            nn.Dropout(dropout),
        )


class Attention(nn.Module):
    """Multi-head self-attention within a row's length."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(size)
        self.project = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, used: Tensor) -> Tensor:
        parts = self.project(self.norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts  # (batch, heads, frames, size / heads)
        found = scaled_dot_product_attention(rotate(queries), rotate(keys), values, used[:, None, None, :])
        return self.dropout(self.out(found.transpose(1, 2).flatten(2)))


def rotate(x: Tensor) -> Tensor:
    """Turn each pair of values by an angle that grows with the frame: a rotary embedding of the position.

    Args:
        x: (batch, heads, frames, values).
    """
    half = x.shape[-1] // 2
    speeds = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = torch.arange(x.shape[2], device=x.device, dtype=torch.float32)[:, None] * speeds  # (frames, half)
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)


class Convolution(nn.Module):
    """A gated depthwise convolution over time; frames past a row's length count as 0."""

    def __init__(self, size: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.gate = nn.Linear(size, 2 * size)
        self.depthwise = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.middle = nn.LayerNorm(size)
        self.out = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, used: Tensor) -> Tensor:
        gated = glu(self.gate(self.norm(x)), dim=2) * used[:, :, None]
        found = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.out(silu(self.middle(found))))


class Block(nn.Module):
    def __init__(self, size: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.first = FeedForward(size, dropout)
        self.attention = Attention(size, heads, dropout)
        self.convolution = Convolution(size, kernel, dropout)
        self.second = FeedForward(size, dropout)
        self.norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, used: Tensor) -> Tensor:
        x = x + self.first(x) / 2
        x = x + self.attention(x, used)
        x = x + self.convolution(x, used)
        x = x + self.second(x) / 2
        return self.norm(x)


class Conformer(nn.Module):
    """Blocks over (batch, frames, size).

    Args:
        size: of a frame, a multiple of twice the heads.
        layers: blocks.
        heads: of the attention.
        kernel: frames of the convolution, odd.
        dropout: share of values that are set to 0 in training.
    """

    def __init__(self, size: int, layers: int, *, heads: int = 4, kernel: int = 15, dropout: float = 0.1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(size, heads, kernel, dropout) for _ in range(layers))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        used = within_lengths(x, lengths)
        for block in self.blocks:
            x = block(x, used)
        return x
