"""The losses of pairs and triplets on Keras' torch backend."""

from __future__ import annotations

from typing import Any

from seqloss.torch import CosineTriplet, cosine_triplet, pairwise_kl_hinge

__all__ = ["batch_triplet_losses", "cosine_triplet", "pairwise_kl_hinge"]


def batch_triplet_losses(embeddings: Any, labels: Any, margin: float, negatives: Any, validate: bool) -> Any:
    """The loss of each pair (anchor, positive) of a batch, (batch, batch), 0 where there is no triplet."""
    return CosineTriplet(margin, negatives, "none", validate=validate)(embeddings, labels)
