"""The NumPy frontend. The other frontends use it for computations on the host.

* `ctc_loss`, `ctc_loss_and_grad`: the CTC loss (connectionist temporal classification), and its gradient.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_align`: the most probable alignment of a target with the frames.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.
* `pairwise_kl_hinge`, `pairwise_kl_hinge_and_grad`: pull distributions of one label together, push others apart.
* `cosine_triplet`, `cosine_triplet_and_grad`: the triplet loss on cosines; `pick_triplets` picks triplets of a batch.
* `equal_error_rate`, `pair_accuracy`, `pair_threshold`: how well a score tells same pairs from different ones.
* `check_probabilities`: find the rows that are no probabilities.
* `masked_cross_entropy`, `masked_squared_error`, `masked_absolute_error`: losses of the real steps of a padded batch;
  with `_and_grad`, their gradients too.
* `time_weighted`, `time_weighted_and_grad`: losses of single steps, weighted by their step.
* `ErrorDistribution`, `choose_threshold`, `measure_detection`: anomaly scores of errors, and how well they detect.
* `soft_nearest_neighbor`, `soft_nearest_neighbor_and_grad`: how far the classes of a batch of points are apart.
"""

from seqloss.numpy.anomalies import Detection, ErrorDistribution, choose_threshold, measure_detection
from seqloss.numpy.ctc.align import Alignment, ctc_align
from seqloss.numpy.ctc.check import ctc_check
from seqloss.numpy.ctc.greedy import Greedy, ctc_greedy
from seqloss.numpy.ctc.loss import ctc_loss, ctc_loss_and_grad
from seqloss.numpy.ctc.posteriors import ctc_posteriors
from seqloss.numpy.findings import Finding, Report
from seqloss.numpy.losses.check_probabilities import check_probabilities
from seqloss.numpy.losses.cosine_triplet import cosine_triplet, cosine_triplet_and_grad
from seqloss.numpy.losses.masked_cross_entropy import masked_cross_entropy, masked_cross_entropy_and_grad
from seqloss.numpy.losses.masked_error import (
    masked_absolute_error,
    masked_absolute_error_and_grad,
    masked_squared_error,
    masked_squared_error_and_grad,
)
from seqloss.numpy.losses.pairwise_kl import pairwise_kl_hinge, pairwise_kl_hinge_and_grad
from seqloss.numpy.losses.pick_triplets import pick_triplets
from seqloss.numpy.losses.soft_nearest_neighbor import soft_nearest_neighbor, soft_nearest_neighbor_and_grad
from seqloss.numpy.losses.time_weighted import time_weighted, time_weighted_and_grad
from seqloss.numpy.pair_metrics import equal_error_rate, pair_accuracy, pair_threshold

__all__ = [
    "Alignment",
    "Detection",
    "ErrorDistribution",
    "Finding",
    "Greedy",
    "Report",
    "check_probabilities",
    "choose_threshold",
    "cosine_triplet",
    "cosine_triplet_and_grad",
    "ctc_align",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_loss_and_grad",
    "ctc_posteriors",
    "equal_error_rate",
    "masked_absolute_error",
    "masked_absolute_error_and_grad",
    "masked_cross_entropy",
    "masked_cross_entropy_and_grad",
    "masked_squared_error",
    "masked_squared_error_and_grad",
    "measure_detection",
    "pair_accuracy",
    "pair_threshold",
    "pairwise_kl_hinge",
    "pairwise_kl_hinge_and_grad",
    "pick_triplets",
    "soft_nearest_neighbor",
    "soft_nearest_neighbor_and_grad",
    "time_weighted",
    "time_weighted_and_grad",
]
