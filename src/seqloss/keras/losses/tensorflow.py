"""The losses beside CTC on TensorFlow tensors: what Keras' TensorFlow backend has in place of a frontend of its own."""

from seqloss.keras.losses.tensorflow_neighbors import soft_nearest_neighbor
from seqloss.keras.losses.tensorflow_pairs import batch_cosine_triplet, cosine_triplet, pairwise_kl_hinge
from seqloss.keras.losses.tensorflow_steps import (
    masked_absolute_error,
    masked_cross_entropy,
    masked_squared_error,
    time_weighted,
)

__all__ = [
    "batch_cosine_triplet",
    "cosine_triplet",
    "masked_absolute_error",
    "masked_cross_entropy",
    "masked_squared_error",
    "pairwise_kl_hinge",
    "soft_nearest_neighbor",
    "time_weighted",
]
