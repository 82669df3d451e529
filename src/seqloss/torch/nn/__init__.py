"""Modules of a speech recogniser that stand before its network.

* `LogMel`: the logarithm of mel-filtered spectra, from samples.
* `GlobalNorm`: features with zero mean and unit deviation over a training set, which is stored with the model.
* `UtteranceNorm`: the same over the frames of each utterance.
* `frames_of_samples`: how many frames a sound has.
"""

from seqloss.torch.nn.feature_norm import GlobalNorm, UtteranceNorm
from seqloss.torch.nn.log_mel import LogMel, frames_of_samples

__all__ = ["GlobalNorm", "LogMel", "UtteranceNorm", "frames_of_samples"]
