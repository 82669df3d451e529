"""A saved model brings its loss back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from seqloss.keras import CTC

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "end": {"end": 3, "padding": -1, "name": "reader", "reduction": "sum"},
    "packed": {"target_lengths": "packed", "logit_lengths": "predicted", "blank": -1, "infeasible": "zero"},
    "blank and padding of one class": {"blank": -1, "padding": 0},
    "one end": {"end": 2, "logit_lengths": "all", "normalize": False, "validate": False, "dtype": "float64"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_loss_comes_back_from_its_configuration(name: str) -> None:
    loss = CTC(**OPTIONS[name])
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is CTC
    assert again.get_config() == loss.get_config()
    assert OPTIONS[name].items() <= again.get_config().items()


def test_a_loaded_model_evaluates_as_before(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 6, 3)), np.array([[1, 2, -1], [2, -1, -1]])
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.Dense(4)])
    model.compile(loss=CTC(padding=-1, blank=-1), optimizer="sgd")
    before = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(x, y, verbose=0) == before
