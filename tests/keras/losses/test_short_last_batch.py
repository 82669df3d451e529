"""The last batch of an epoch may have no triplet: the error says how to pass over it, and that works."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from seqloss.errors import LabelError
from seqloss.keras import CosineTriplet

ROWS = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
LABELS = np.array([0, 0, 1, 1, 1, 2])


def fit(loss: keras.losses.Loss, batch: int) -> float:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile(optimizer="sgd", loss=loss, run_eagerly=True)
    history = model.fit(ROWS, LABELS, batch_size=batch, shuffle=False, verbose=0)
    return float(history.history["loss"][0])


@pytest.mark.parametrize("batch", [4, 5], ids=["no positive", "no negative"])
def test_advice_passes_over_the_last_batch(batch: int) -> None:
    with pytest.raises(LabelError, match="a short last one, with validate=False"):
        fit(CosineTriplet(), batch)
    assert np.isfinite(fit(CosineTriplet(validate=False), batch))
