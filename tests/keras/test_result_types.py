"""The type of a loss is what Keras makes of `dtype`: its own CTC gives the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from seqloss.keras import CTC

BACKEND = os.environ["KERAS_BACKEND"]
X, Y = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32), np.array([[1, 2], [2, 1]])
POLICIES = {
    "mixed_bfloat16": keras.DTypePolicy("mixed_bfloat16"),
    "mixed_float16": keras.DTypePolicy("mixed_float16"),
    "float64 policy": keras.DTypePolicy("float64"),
}
KINDS: dict[str, Any] = (
    {name: name for name in ("float16", "bfloat16", "float32", "float64")} | POLICIES | {"None": None}
)
TOLERANCE = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-5, "float64": 1e-5}


def kind_of(value: Any) -> str:
    return str(keras.backend.standardize_dtype(value.dtype))


def of_keras(options: dict[str, Any]) -> Any:
    """Keras' own answer, by a loss whose rows are ours where TensorFlow has no kernel for the type."""

    class Rows(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return y_pred[:, 0, 0]

    return Rows(**options)(Y, X)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize("given", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", KINDS)
def test_the_result_has_keras_own_type(name: str, given: str, reduction: str | None) -> None:
    options = {"dtype": KINDS[name], "reduction": reduction}
    found = CTC(**options)(Y, X.astype(given))
    plain = ops.convert_to_numpy(ops.cast(CTC(reduction=reduction)(Y, X), "float32"))
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(found, "float32")),
        plain,
        rtol=TOLERANCE[kind_of(found)] + 1e-3 * (given == "float16"),
    )
    half = "float16" in kind_of(found)
    if not (BACKEND == "tensorflow" and half):  # where Keras' own division refuses bfloat16
        assert kind_of(found) == kind_of(of_keras(options))
        assert kind_of(found) == kind_of(keras.losses.CTC(**options)(Y, X.astype(given)))
    else:
        assert kind_of(found) == CTC(**options).dtype


@contextmanager
def floatx(kind: str) -> Iterator[None]:
    before = keras.config.floatx()
    keras.config.set_floatx(kind)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_no_type_means_that_of_keras_configuration(kind: str) -> None:
    with floatx(kind):
        assert kind_of(CTC()(Y, ops.convert_to_tensor(X))) == kind


def test_a_half_result_is_rounded_once() -> None:
    for kind in ("float16", "bfloat16"):
        found, exact = CTC(dtype=kind, reduction="sum")(Y, X), CTC(reduction="sum")(Y, X)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ops.cast(found, "float32")),
            ops.convert_to_numpy(ops.cast(ops.cast(exact, kind), "float32")),
        )


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_rounded_log_probabilities_are_no_error(kind: str) -> None:
    x = np.full((1, 3, 256), -np.log(256.0), np.float32)
    y_pred = ops.cast(ops.convert_to_tensor(x), kind)
    found = CTC(normalize=False)(np.array([[1]]), y_pred)
    assert kind_of(found) == "float32"
    assert np.isfinite(float(found))
