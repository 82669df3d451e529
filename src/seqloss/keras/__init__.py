"""The Keras 3 frontend: losses for sequence training on Keras' torch, JAX or TensorFlow backend.

* `CTC`: the CTC loss for `model.compile`, like `keras.losses.CTC`, but with real lengths.
* `pack`: put labels and lengths into one `y_true`, for `fit`.
* `ctc_loss`: the CTC loss (connectionist temporal classification) from logits or log-probabilities.
* `ctc_batch_cost`: a replacement for `keras.backend.ctc_batch_cost` of Keras 2.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.
* `PairwiseKLHinge`, `pairwise_kl_hinge`: pull distributions of one label together, push others apart.
* `CosineTriplet`, `cosine_triplet`: the triplet loss on cosines; `pick_triplets` picks triplets of a batch.
* `check_probabilities`: find the rows that are no probabilities.
* `MaskedCrossEntropy`, `MaskedSquaredError`, `MaskedAbsoluteError`: losses of the real steps of a padded batch, for
  `model.compile`; `masked_cross_entropy`, `masked_squared_error`, `masked_absolute_error`: the same as functions.
* `TimeWeighted`: any loss of single steps, weighted by the step, for `model.compile`; `time_weighted`: the same as a
  function.
* `SoftNearestNeighbor`, `soft_nearest_neighbor`: how far the classes of a batch of points are apart.

Importing this module imports Keras, which fixes the backend of the process. The backend is taken from `KERAS_BACKEND`,
else from `keras.json`, else it is Keras' default, TensorFlow. If TensorFlow is not installed and you have chosen no
backend, this module sets `KERAS_BACKEND` to PyTorch or JAX: to one that is imported already, else to one that is
installed.
"""

from seqloss.errors import missing_extra
from seqloss.keras.backend import choose_backend

try:
    choose_backend()
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise missing_extra("Keras", "keras", "seqloss.keras") from None

from seqloss.keras.ctc.batch_cost import ctc_batch_cost
from seqloss.keras.ctc.host import Finding, Greedy, Report, ctc_check, ctc_greedy, ctc_posteriors
from seqloss.keras.ctc.keras_loss import CTC
from seqloss.keras.ctc.loss import ctc_loss
from seqloss.keras.ctc.packed import pack
from seqloss.keras.losses.cosine_triplet import cosine_triplet
from seqloss.keras.losses.host import check_probabilities, pick_triplets
from seqloss.keras.losses.masked_cross_entropy import masked_cross_entropy
from seqloss.keras.losses.masked_error import masked_absolute_error, masked_squared_error
from seqloss.keras.losses.masked_losses import MaskedAbsoluteError, MaskedCrossEntropy, MaskedSquaredError
from seqloss.keras.losses.neighbor_object import SoftNearestNeighbor
from seqloss.keras.losses.pair_objects import CosineTriplet, PairwiseKLHinge
from seqloss.keras.losses.pairwise_kl import pairwise_kl_hinge
from seqloss.keras.losses.soft_nearest_neighbor import soft_nearest_neighbor
from seqloss.keras.losses.time_weighted import time_weighted
from seqloss.keras.losses.time_weighted_loss import TimeWeighted

__all__ = [
    "CTC",
    "CosineTriplet",
    "Finding",
    "Greedy",
    "MaskedAbsoluteError",
    "MaskedCrossEntropy",
    "MaskedSquaredError",
    "PairwiseKLHinge",
    "Report",
    "SoftNearestNeighbor",
    "TimeWeighted",
    "check_probabilities",
    "cosine_triplet",
    "ctc_batch_cost",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_posteriors",
    "masked_absolute_error",
    "masked_cross_entropy",
    "masked_squared_error",
    "pack",
    "pairwise_kl_hinge",
    "pick_triplets",
    "soft_nearest_neighbor",
    "time_weighted",
]
del _keras, choose_backend, missing_extra
