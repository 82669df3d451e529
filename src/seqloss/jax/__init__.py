"""The JAX frontend: losses for sequence training under jit, grad, vmap and shard_map.

* `ctc_loss`: the CTC loss (connectionist temporal classification) from logits or log-probabilities.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.
* `pairwise_kl_hinge`: pull distributions of one label together, push others apart.
* `cosine_triplet`, `batch_cosine_triplet`: the triplet loss on cosines, of given triplets, or of all of a batch.
* `pick_triplets`: pick triplets of a batch, outside jit.
* `check_probabilities`: find the rows that are no probabilities.
* `masked_cross_entropy`, `masked_squared_error`, `masked_absolute_error`: losses of the real steps of a padded batch.
* `time_weighted`: losses of single steps, weighted by their step.
* `soft_nearest_neighbor`: how far the classes of a batch of points are apart.
* `optax_ctc_loss`: a drop-in replacement for optax.ctc_loss.
"""

from seqloss.errors import missing_extra

try:
    import jax as _jax
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise missing_extra("JAX", "jax", "seqloss.jax") from None

from seqloss.jax.ctc.check import ctc_check
from seqloss.jax.ctc.greedy import ctc_greedy
from seqloss.jax.ctc.loss import ctc_loss
from seqloss.jax.ctc.optax import optax_ctc_loss
from seqloss.jax.ctc.posteriors import ctc_posteriors
from seqloss.jax.losses.check_probabilities import check_probabilities
from seqloss.jax.losses.cosine_triplet import batch_cosine_triplet, cosine_triplet
from seqloss.jax.losses.masked_cross_entropy import masked_cross_entropy
from seqloss.jax.losses.masked_error import masked_absolute_error, masked_squared_error
from seqloss.jax.losses.pairwise_kl import pairwise_kl_hinge
from seqloss.jax.losses.pick_triplets import pick_triplets
from seqloss.jax.losses.soft_nearest_neighbor import soft_nearest_neighbor
from seqloss.jax.losses.time_weighted import time_weighted
from seqloss.numpy import Finding, Greedy, Report

__all__ = [
    "Finding",
    "Greedy",
    "Report",
    "batch_cosine_triplet",
    "check_probabilities",
    "cosine_triplet",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_posteriors",
    "masked_absolute_error",
    "masked_cross_entropy",
    "masked_squared_error",
    "optax_ctc_loss",
    "pairwise_kl_hinge",
    "pick_triplets",
    "soft_nearest_neighbor",
    "time_weighted",
]
del _jax, missing_extra
