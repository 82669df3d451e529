"""Vectors of words from their characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.errors import DataError, OptionError, unknown_option
from seqloss.torch.nn.distinct_words import UNKNOWN, DistinctWords, find_distinct_words
from seqloss.torch.nn.highway import Highway
from seqloss.torch.nn.sizes import check_sizes
from seqloss.torch.nn.uneven_rows import host_knows

FILTERS = {1: 25, 2: 50, 3: 75, 4: 100, 5: 125, 6: 150}
"""Those of the small model of Kim et al."""


class EncoderCost(NamedTuple):
    """What an encoder costs, beside a table with a vector of the same size for each word.

    Attributes:
        parameters: of the encoder.
        bytes: of these.
        table_parameters: of the table.
        table_bytes: of these, in the element type of the encoder.

    Example:
        >>> from seqloss.torch.nn import CharacterWordEncoder
        >>> cost = CharacterWordEncoder("abc", filters={1: 4, 2: 4}).cost_beside_table(words=1000)
        >>> cost.parameters < cost.table_parameters, cost.table_bytes
        (True, 32000)
    """

    parameters: int
    bytes: int
    table_parameters: int
    table_bytes: int


class CharacterWordEncoder(nn.Module):
    """Vectors of words from their characters, also of words that were never trained (Kim et al. 2016).

    Each character has a vector. Filters of several widths slide over them, and each keeps its largest value:
    `tanh(max over places of (F . characters + b))`. Highway layers follow. A word is read with a mark before it and one
    after it, so that filters can see prefixes and endings. A filter that is wider than the word with its marks sees
    zeros after them. A word's vector does not depend on the rest of the batch, except for rounding.

    Each distinct word of a batch is encoded once. In a DataLoader, call `prepare` in the workers, and give its result
    to the module.

    Args:
        characters: the alphabet, each character once.
        character_size: values of a character.
        filters: width of a filter, in characters -> how many filters. Their number is the size of a word's vector.
        highway_layers: highway layers after the filters.
        gate_bias: of the highway gates at the beginning; negative to pass the input on.
        unknown: what a character outside of the alphabet is: "error", or "share": one trained vector for all of them.
        device: of the weights.
        dtype: of the weights.

    Raises:
        OptionError: an option has an unknown value; a character is there twice, or is no single character.
        DataError: a character outside of the alphabet with unknown="error", in a call.
        ShapeError: a string in place of words, or words beside rows of words, in a call.
        DTypeError: a word that is no string, in a call.

    Example:
        >>> from seqloss.torch.nn import CharacterWordEncoder
        >>> encoder = CharacterWordEncoder("abcdefghijklmnopqrstuvwxyz", filters={1: 8, 2: 16, 3: 24})
        >>> encoder(["beer", "beers", "beer"]).shape  # two distinct words
        torch.Size([3, 48])
        >>> rows = encoder([["the", "cold", "beers"], ["beer"]])  # (rows, words, size), padded
        >>> rows.shape, rows[1, 1:].abs().sum().item()
        (torch.Size([2, 3, 48]), 0.0)
        >>> encoder.cost_beside_table(10_000)
        EncoderCost(parameters=6882, bytes=27528, table_parameters=480000, table_bytes=1920000)

    References:
        Y. Kim, Y. Jernite, D. Sontag, A. M. Rush, "Character-aware neural language models", AAAI 2016,
        arXiv 1508.06615.
    """

    def __init__(
        self, characters: Sequence[str], character_size: int = 15, filters: Mapping[int, int] = FILTERS, *,
        highway_layers: int = 1, gate_bias: float = -2.0, unknown: Literal["error", "share"] = "error",
        device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(character_size=character_size)
        check_alphabet(characters)
        if isinstance(highway_layers, bool) or not isinstance(highway_layers, int) or highway_layers < 0:
            raise OptionError(f"highway_layers: found {highway_layers!r}, expected a whole number of at least 0.")
        if not filters:
            raise OptionError("filters: found none, expected {width: number of filters, ...}.")
        for width, count in filters.items():
            check_sizes(**{"filters: a width": width, f"filters[{width}]": count})
        if unknown not in ("error", "share"):
            raise unknown_option("unknown", unknown, ("error", "share"))
        self.characters, self.unknown, self.size = "".join(characters), unknown, sum(filters.values())
        self.numbers = {character: number for number, character in enumerate(characters, UNKNOWN + 1)}
        rows = UNKNOWN + 1 + len(self.numbers)
        self.embedding = nn.Embedding(rows, character_size, padding_idx=0, device=device, dtype=dtype)
        self.filters = nn.ModuleList(
            nn.Conv1d(character_size, count, width, device=device, dtype=dtype) for width, count in filters.items()
        )
        self.highway = Highway(self.size, highway_layers, gate_bias, device=device, dtype=dtype)

    def forward(self, words: Sequence[str] | Sequence[Sequence[str]] | DistinctWords) -> Tensor:
        """The vectors of words.

        Args:
            words: a list of words, or of rows of words, of any lengths; or what `prepare` made of one. An empty word is
                read as its two marks alone.

        Returns:
            (words, size), or (rows, words, size) with zeros in the padding of rows. (0, size) without any word; all
            gradients are then 0.
        """
        given = words if isinstance(words, DistinctWords) else self.prepare(words).to(self.embedding.weight.device)
        padding = self.embedding.weight.new_zeros(1, self.size)
        encoded = [padding + sum(p.flatten()[:0].sum() for p in self.parameters())]  # a gradient of 0 without words
        encoded += [self.encode(block) for block in given.characters]
        return F.embedding(given.places, torch.cat(encoded))

    def prepare(self, words: Sequence[str] | Sequence[Sequence[str]]) -> DistinctWords:
        """The distinct words of a batch, on the host."""
        return find_distinct_words(words, self.numbers, share_unknown=self.unknown == "share")

    def encode(self, characters: Tensor) -> Tensor:
        """Numbers of characters (words, longest), padded with 0, to vectors (words, size).

        Raises:
            DataError: a number that this encoder does not have. On an accelerator, such a word gets NaN.
        """
        wrong = (characters < 0) | (characters >= self.embedding.num_embeddings)
        if host_knows(characters) and bool(wrong.any()):
            raise DataError(
                f"characters: found {int(characters[wrong][0])}, expected 0 to {self.embedding.num_embeddings - 1}; "
                "prepare the words with this encoder."
            )
        known = characters.masked_fill(wrong, 0)
        lengths = (characters != 0).sum(1, keepdim=True)
        layers = [cast(nn.Conv1d, layer) for layer in self.filters]
        missing = max(layer.kernel_size[0] for layer in layers) - characters.shape[1]
        x = self.embedding(F.pad(known, (0, max(0, missing))))  # (words, longest, character_size)
        found = torch.cat([_largest(_slide(layer, x), lengths - layer.kernel_size[0]) for layer in layers], dim=1)
        vectors: Tensor = self.highway(found.tanh())
        return vectors.masked_fill(wrong.any(1, keepdim=True), torch.nan)

    def cost_beside_table(self, words: int) -> EncoderCost:
        """Parameters and bytes of the encoder, and of a table of so many words with vectors of the same size."""
        check_sizes(words=words)
        parameters, width = sum(p.numel() for p in self.parameters()), self.embedding.weight.element_size()
        return EncoderCost(parameters, parameters * width, words * self.size, words * self.size * width)

    def extra_repr(self) -> str:
        return f"{len(self.characters)} characters, size={self.size}, unknown={self.unknown!r}"


def _slide(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """The convolution of x (words, longest, character_size) as one product: (words, places, filters).

    With so few channels, that is faster than PyTorch's convolution on a CPU.
    """
    width = layer.kernel_size[0]
    places = x.shape[1] - width + 1
    windows = torch.cat([x[:, start : start + places] for start in range(width)], dim=2) if width > 1 else x
    return F.linear(windows, layer.weight.transpose(1, 2).flatten(1), layer.bias)


def _largest(values: Tensor, last: Tensor) -> Tensor:
    """The largest of values (words, places, filters) from place 0 to each word's last one (words, 1): (words, filters).

    tanh grows, so that its maximum is that of its argument.
    """
    outside = torch.arange(values.shape[1], device=values.device) > last.clamp(min=0)
    return values.masked_fill(outside[:, :, None], -torch.inf).max(1).values


def check_alphabet(characters: Sequence[str]) -> None:
    """Raise an `OptionError` for anything but single characters, each once."""
    seen: set[str] = set()
    for position, character in enumerate(characters):
        if not isinstance(character, str) or len(character) != 1:
            raise OptionError(f"characters[{position}]: found {character!r}, expected one character.")
        if character in seen:
            raise OptionError(f"characters[{position}]: found {character!r} again, expected each character once.")
        seen.add(character)
