"""The language model: vectors of words, an LSTM, and an adaptive softmax over the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.data import Vocabulary
from seqloss.recipes.charlm.data import WordBatch
from seqloss.recipes.charlm.settings import Settings
from seqloss.torch.nn import CharacterWordEncoder, Recurrent
from seqloss.torch.nn.padding import within_lengths

CHARACTER_SIZE, HIGHWAY_LAYERS = 30, 2
"""Of the encoder. With 15 and 1, the perplexity of the default text is 2 to 3 % higher."""

WIDTHS = 6
"""Filters read one to six characters; there are more of the wide ones, in proportion."""

FREQUENT, COMMON = 0.05, 0.25
"""Shares of the vocabulary: the head of the adaptive softmax, and the head with the first tail."""


class Network(nn.Module):
    """Words of paragraphs to the loss of the word that follows each of them.

    A paragraph begins with a state of 0. None is carried over from the one before, so that a row's loss does not depend
    on the batch or on the order of an epoch, and a resumed run has nothing to restore.

    Args:
        vocabulary: of what is predicted. Its characters are those that the encoder knows; all others share a vector.
        settings: of the run.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings) -> None:
        super().__init__()
        size = settings.word_size
        self.words: nn.Module
        if settings.words == "characters":
            alphabet = sorted(set("".join(vocabulary.characters)))
            self.words = CharacterWordEncoder(
                alphabet, CHARACTER_SIZE, filter_counts(size), highway_layers=HIGHWAY_LAYERS, unknown="share"
            )
        else:
            self.words = nn.Embedding(len(vocabulary), size)
        # less dropout than between layers: a word from characters is to be recognised from all of its values
        self.word_dropout = nn.Dropout(settings.word_dropout)
        sizes = [size, *[settings.size] * settings.layers]
        self.recurrent = nn.ModuleList(Recurrent("lstm", *pair) for pair in pairwise(sizes))
        self.dropout = nn.Dropout(settings.dropout)
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            settings.size, len(vocabulary), cutoffs_of(len(vocabulary)), div_value=4.0
        )

    def forward(self, batch: WordBatch) -> Tensor:
        """Negative log-likelihoods (rows, words) in nats, 0 in the padding."""
        states = self.word_dropout(self.read_words(batch))
        for place, layer in enumerate(self.recurrent):
            states, _ = layer(self.dropout(states) if place else states, batch.lengths, with_last=False)
        used = within_lengths(states, batch.lengths)
        losses = -self.softmax(self.dropout(states[used]), batch.targets[used]).output
        return losses.new_zeros(used.shape).masked_scatter(used, losses)

    def read_words(self, batch: WordBatch) -> Tensor:
        """Vectors (rows, words, word_size)."""
        read_characters = isinstance(self.words, CharacterWordEncoder)
        found: Tensor = self.words(batch.words if read_characters else batch.inputs)
        return found

    def word_vectors(self, words: Sequence[str], numbers: dict[str, int]) -> Tensor:
        """Vectors (words, word_size) of any words; a table has that of <unk> for those outside of the vocabulary."""
        if isinstance(self.words, CharacterWordEncoder):
            return torch.cat([self.words(words[start : start + 1024]) for start in range(0, len(words), 1024)])
        assert isinstance(self.words, nn.Embedding)
        return F.embedding(torch.tensor([numbers.get(word, 0) for word in words]), self.words.weight)


def filter_counts(size: int) -> dict[int, int]:
    """How many filters of each width make a vector of a size.

    Example:
        >>> filter_counts(525)
        {1: 25, 2: 50, 3: 75, 4: 100, 5: 125, 6: 150}
        >>> sum(filter_counts(100).values())
        100
    """
    all_shares = WIDTHS * (WIDTHS + 1) // 2
    ends = [size * width * (width + 1) // 2 // all_shares for width in range(WIDTHS + 1)]
    return {width: ends[width] - ends[width - 1] for width in range(1, WIDTHS + 1)}


def cutoffs_of(classes: int) -> list[int]:
    """Where the tails of the adaptive softmax begin.

    Example:
        >>> cutoffs_of(6000), cutoffs_of(2)
        ([300, 1500], [1])
    """
    return sorted({max(1, int(share * classes)) for share in (FREQUENT, COMMON)})


def uniform_losses(classes: int, targets: Tensor) -> Tensor:
    """The losses of an adaptive softmax without weights: each class of a cluster is as likely as the others."""
    cutoffs = [0, *cutoffs_of(classes), classes]
    cluster = torch.bucketize(targets, torch.tensor(cutoffs[1:-1], device=targets.device), right=True)
    tails = torch.tensor([0.0, *(math.log(end - start) for start, end in pairwise(cutoffs[1:]))])
    return math.log(cutoffs[1] + len(cutoffs) - 2) + tails.to(targets.device)[cluster]


def count_bytes(module: nn.Module) -> int:
    """Of all parameters."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
