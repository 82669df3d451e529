"""The stems network: a GRU over the characters of a word, read right to left, and a linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from seqloss.torch.nn import Recurrent


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
        self.recurrent = Recurrent("gru", self.WIDTH, size, right_to_left=True)
        self.head = nn.Linear(size, dimensions)

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        _, last = self.recurrent(self.characters(characters), lengths)
        found: Tensor = self.head(last[0])
        return found
