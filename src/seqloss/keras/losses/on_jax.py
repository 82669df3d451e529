"""The losses of pairs and triplets on Keras' JAX backend."""

from __future__ import annotations

from typing import Any

from seqloss.jax import batch_cosine_triplet, cosine_triplet, pairwise_kl_hinge

__all__ = ["batch_triplet_losses", "cosine_triplet", "pairwise_kl_hinge"]


def batch_triplet_losses(embeddings: Any, labels: Any, margin: float, negatives: Any, validate: bool) -> Any:
    """The loss of each pair (anchor, positive) of a batch, (batch, batch), 0 where there is no triplet."""
    return batch_cosine_triplet(
        embeddings, labels, margin=margin, negatives=negatives, reduction="none", validate=validate
    )
