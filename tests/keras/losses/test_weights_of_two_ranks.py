"""`fit` with weights of rows, then with weights of steps: TensorFlow traces once more, and forgets their rank."""

from __future__ import annotations

import keras
import numpy as np

from seqloss.keras import MaskedCrossEntropy

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(3, 4, 2)).astype("float32")
LABELS = np.array([[0, 1, 2, 0], [1, -1, -1, -1], [2, 2, -1, -1]])


def test_one_model_takes_weights_of_rows_and_then_of_steps() -> None:
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Dense(3)])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=MaskedCrossEntropy())
    rows = np.array([1.0, 3.0, 0.5], "float32")
    steps = np.repeat(rows[:, None], 4, axis=1)
    losses = [
        model.fit(INPUTS, LABELS, sample_weight=weights, batch_size=3, verbose=0).history["loss"][0]
        for weights in (rows, steps, rows)
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
