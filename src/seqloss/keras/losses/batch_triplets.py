"""The losses of all triplets of a batch, by the frontend of Keras' backend."""

from __future__ import annotations

from typing import Any

import keras

from seqloss.keras.losses.arrays import backend_function


def batch_triplet_losses(embeddings: Any, labels: Any, margin: float, negatives: Any, validate: bool) -> Any:
    """The loss of each pair (anchor, positive) of a batch, (batch, batch), 0 where there is no triplet."""
    if keras.config.backend() == "torch":
        module = backend_function("CosineTriplet")(margin, negatives, "none", validate=validate)
        return module(embeddings, labels)
    return backend_function("batch_cosine_triplet")(
        embeddings, labels, margin=margin, negatives=negatives, reduction="none", validate=validate
    )
