"""`model.fit` trains: the same curve on every backend, which is that of a loop in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.keras import CTC, pack

RNG = np.random.default_rng(1)
X = RNG.normal(size=(5, 9, 4)).astype(np.float32)
Y = np.array([[1, 2, 2], [3, 0, 0], [2, 1, 3], [1, 1, 0], [3, 2, 0]])
COUNTS = np.array([3, 1, 3, 2, 2])
FRAMES = np.array([9, 5, 7, 9, 6])
KERNEL = 0.5 * RNG.normal(size=(4, 4)).astype(np.float32)
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 1.5])
RATE, BATCH, EPOCHS = 0.1, 2, 7  # 21 steps, every third on the one row that is left


def linear(jit: bool, loss: CTC) -> keras.Model:
    model = keras.Sequential([keras.Input((9, 4)), keras.layers.Dense(4)])
    model.set_weights([KERNEL, np.zeros(4)])
    model.compile(loss=loss, optimizer=keras.optimizers.SGD(RATE), jit_compile=jit)
    return model


def curve(frames: np.ndarray | None = None, weights: np.ndarray | None = None) -> list[float]:
    """The mean loss of each epoch of the same training, by hand and in float64."""
    kernel, bias = KERNEL.astype(np.float64), np.zeros(4)
    weights = np.ones(5) if weights is None else weights
    means = []
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, 5, BATCH):
            rows = slice(start, start + BATCH)
            x = X[rows].astype(np.float64)
            used = None if frames is None else frames[rows]
            upstream = weights[rows] / len(x)
            losses, gradient = host.ctc_loss_and_grad(x @ kernel + bias, Y[rows], used, COUNTS[rows], upstream=upstream)
            total += (losses * weights[rows]).sum()
            kernel -= RATE * np.einsum("ntf,ntc->fc", x, gradient)
            bias -= RATE * gradient.sum(axis=(0, 1))
        means.append(total / 5)
    return means


def fitted(model: keras.Model, y: np.ndarray, **options: Any) -> list[float]:
    history = model.fit(X, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, **options)
    return history.history["loss"]


@pytest.mark.parametrize("kind", ["int32", "float32"])
def test_training_follows_the_curve_of_a_loop_by_hand(jit: bool, kind: str) -> None:
    found = fitted(linear(jit, CTC()), Y.astype(kind))
    np.testing.assert_allclose(found, curve(), rtol=1e-5)
    assert found[-1] < 0.8 * found[0]


def test_training_on_packed_lengths_follows_its_own_curve(jit: bool) -> None:
    found = fitted(linear(jit, CTC(target_lengths="packed", logit_lengths="packed")), pack(Y, COUNTS, FRAMES))
    np.testing.assert_allclose(found, curve(FRAMES), rtol=1e-5)
    assert abs(found[-1] - curve()[-1]) > 0.1


def test_training_with_sample_weights_follows_its_own_curve() -> None:
    """As Keras has it: weighted losses over the number of rows, not over the sum of the weights."""
    found = fitted(linear(False, CTC(reduction="sum_over_batch_size")), Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(found, curve(weights=WEIGHTS), rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight", "sum_over_batch_size", None])
def test_reductions_are_keras_own(reduction: str | None) -> None:
    losses = host.ctc_loss(X, Y, None, COUNTS)
    weighted = losses * WEIGHTS
    expected = {
        "sum": weighted.sum(),
        "mean": weighted.mean(),
        "sum_over_batch_size": weighted.mean(),
        "mean_with_sample_weight": weighted.sum() / WEIGHTS.sum(),
        None: weighted,
    }[reduction]
    for weights in (WEIGHTS, WEIGHTS[:, None]):
        found = keras.ops.convert_to_numpy(CTC(reduction=reduction)(Y, X, weights))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_row_of_weight_0_counts_for_nothing_even_if_its_loss_is_infinite() -> None:
    crowded = np.ones((5, 9), int)  # nine labels, eight repeats, nine frames
    found = CTC(reduction="sum")(crowded, X, WEIGHTS * 0)
    assert np.isinf(float(CTC(reduction="sum")(crowded, X)))
    assert float(found) == 0


@pytest.mark.parametrize("infeasible", ["inf", "zero"])
def test_a_row_that_does_not_fit_leaves_the_weights_finite(jit: bool, infeasible: Any) -> None:
    model = linear(jit, CTC(infeasible=infeasible, target_lengths="packed", logit_lengths="packed"))
    frames = np.where(np.arange(5) == 1, 0, FRAMES)
    losses = fitted(model, pack(Y, COUNTS, frames))
    assert np.isinf(losses).all() if infeasible == "inf" else np.isfinite(losses).all()
    kernel, _ = model.get_weights()
    assert np.isfinite(kernel).all()
    assert (kernel != KERNEL).any()


def test_half_precision_models_train(jit: bool) -> None:
    model = keras.Sequential([keras.Input((9, 4)), keras.layers.Dense(4, dtype="mixed_bfloat16")])
    model.set_weights([KERNEL, np.zeros(4)])
    model.compile(loss=CTC(), optimizer=keras.optimizers.SGD(RATE), jit_compile=jit)
    np.testing.assert_allclose(fitted(model, Y), curve(), rtol=0.02)
