"""The PyTorch frontend: losses for sequence training, with autograd.

* `ctc_loss`: the CTC loss (connectionist temporal classification) from logits or log-probabilities.
* `linear_ctc_loss`: the CTC loss of a linear layer's output in chunks, for a large vocabulary.
* `CTCLoss`: a drop-in replacement for torch.nn.CTCLoss.
* `functional.ctc_loss`: a drop-in replacement for torch.nn.functional.ctc_loss.
* `patch_torch_ctc`: make torch.nn.CTCLoss compute with seqloss, in code that cannot be edited.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_align`: the most probable alignment of a target with the frames.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.
* `pairwise_kl_hinge`, `PairwiseKLHinge`: pull distributions of one label together, push others apart.
* `cosine_triplet`, `CosineTriplet`: the triplet loss on cosines; `pick_triplets` picks triplets of a batch.
* `check_probabilities`: find the rows that are no probabilities.
* `masked_cross_entropy`, `masked_squared_error`, `masked_absolute_error`: losses of the real steps of a padded batch.
* `time_weighted`: losses of single steps, weighted by their step.
* `soft_nearest_neighbor`: how far the classes of a batch of points are apart.
* `from_loss_and_grad`: make a differentiable loss from a function that returns (loss, gradient).
"""

from seqloss.errors import missing_extra

try:
    import torch as _torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("PyTorch", "torch", "seqloss.torch") from None

from seqloss.numpy import Finding, Report
from seqloss.torch import functional
from seqloss.torch.ctc.align import Alignment, ctc_align
from seqloss.torch.ctc.check import ctc_check
from seqloss.torch.ctc.greedy import Greedy, ctc_greedy
from seqloss.torch.ctc.linear import linear_ctc_loss
from seqloss.torch.ctc.loss import ctc_loss
from seqloss.torch.ctc.module import CTCLoss
from seqloss.torch.ctc.posteriors import ctc_posteriors
from seqloss.torch.custom_loss import from_loss_and_grad
from seqloss.torch.losses.check_probabilities import check_probabilities
from seqloss.torch.losses.cosine_triplet import cosine_triplet
from seqloss.torch.losses.masked_cross_entropy import masked_cross_entropy
from seqloss.torch.losses.masked_error import masked_absolute_error, masked_squared_error
from seqloss.torch.losses.pair_modules import CosineTriplet, PairwiseKLHinge
from seqloss.torch.losses.pairwise_kl import pairwise_kl_hinge
from seqloss.torch.losses.pick_triplets import pick_triplets
from seqloss.torch.losses.soft_nearest_neighbor import soft_nearest_neighbor
from seqloss.torch.losses.time_weighted import time_weighted
from seqloss.torch.patch import patch_torch_ctc

__all__ = [
    "Alignment",
    "CTCLoss",
    "CosineTriplet",
    "Finding",
    "Greedy",
    "PairwiseKLHinge",
    "Report",
    "check_probabilities",
    "cosine_triplet",
    "ctc_align",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_posteriors",
    "from_loss_and_grad",
    "functional",
    "linear_ctc_loss",
    "masked_absolute_error",
    "masked_cross_entropy",
    "masked_squared_error",
    "pairwise_kl_hinge",
    "patch_torch_ctc",
    "pick_triplets",
    "soft_nearest_neighbor",
    "time_weighted",
]
del _torch, missing_extra
