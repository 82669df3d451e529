"""The stems network: a GRU over the characters of a word, read right to left, and a linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloss.torch.nn.padding import reverse_within_lengths


class Network(nn.Module):
    """Characters (batch, steps) to embeddings (batch, dimensions).

    The GRU reads a word from its last character to its first, so that the ending comes first and the beginning, which
    says more about the stem, comes last. It takes the state after the first character.

    Args:
        characters: numbers of characters, 0 for padding included.
        size: values of the state.
        dimensions: values of an embedding.
    """

    WIDTH = 32
    """Values of a character."""

    def __init__(self, characters: int, *, size: int, dimensions: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, self.WIDTH, padding_idx=0)
        self.recurrent = nn.GRU(self.WIDTH, size, batch_first=True)
        self.head = nn.Linear(size, dimensions)

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.recurrent(reverse_within_lengths(self.characters(characters), lengths))
        last = (lengths.to(states.device) - 1).clamp(min=0)
        found: Tensor = self.head(states[torch.arange(len(last), device=states.device), last])
        return found
