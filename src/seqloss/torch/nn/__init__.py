"""Modules for sequences.

* `LogMel`: the logarithm of mel-filtered spectra, from samples.
* `GlobalNorm`: features with zero mean and unit deviation over a training set, which is stored with the model.
* `UtteranceNorm`: the same over the frames of each utterance.
* `frames_of_samples`: how many frames a sound has.
* `Recurrent`: LSTM, GRU and Elman networks for padded batches of uneven rows.
* `SequenceAutoencoder`: an LSTM encoder and decoder; `difference`: an invertible transform of its input.
* `CharacterWordEncoder`: vectors of words from their characters, each distinct word of a batch once (`DistinctWords`).
"""

from seqloss.torch.nn.character_words import CharacterWordEncoder, EncoderCost
from seqloss.torch.nn.difference import Differences, difference
from seqloss.torch.nn.distinct_words import DistinctWords
from seqloss.torch.nn.feature_norm import GlobalNorm, UtteranceNorm
from seqloss.torch.nn.log_mel import LogMel, frames_of_samples
from seqloss.torch.nn.recurrent import Recurrent
from seqloss.torch.nn.sequence_autoencoder import SequenceAutoencoder

__all__ = [
    "CharacterWordEncoder",
    "Differences",
    "DistinctWords",
    "EncoderCost",
    "GlobalNorm",
    "LogMel",
    "Recurrent",
    "SequenceAutoencoder",
    "UtteranceNorm",
    "difference",
    "frames_of_samples",
]
