"""The soft nearest neighbour loss in `compile` and `fit`, on each backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from seqloss.errors import DTypeError
from seqloss.keras import soft_nearest_neighbor


def loss(y_true: Any, y_pred: Any) -> Any:
    return soft_nearest_neighbor(y_pred, keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32"))


def test_a_model_learns_to_separate_classes() -> None:
    keras.utils.set_random_seed(0)
    labels = np.arange(32) % 2
    noise = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    noise[:, 0] = labels - 0.5
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss)
    history = model.fit(noise, labels, epochs=12, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


def test_a_layer_learns_the_temperature_by_its_logarithm() -> None:
    class Entangled(keras.layers.Layer):
        def build(self, _: Any) -> None:
            self.log_temperature = self.add_weight(shape=(), initializer="zeros")

        def call(self, given: Any) -> Any:
            points, labels = given
            heat = keras.ops.exp(self.log_temperature)
            self.add_loss(soft_nearest_neighbor(points, labels, temperature=heat))
            return points

    points, labels = keras.Input((2,)), keras.Input((), dtype="int32")
    layer = Entangled()
    model = keras.Model([points, labels], layer([points, labels]))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=None)
    data = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    model.fit([data, np.arange(16, dtype="int32") % 2], epochs=2, batch_size=8, verbose=0)
    assert float(layer.log_temperature) != 0


def test_a_symbolic_tensor_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"points: expected a tensor; .*found a KerasTensor"):
        soft_nearest_neighbor(keras.Input((2,)), [0, 1])
