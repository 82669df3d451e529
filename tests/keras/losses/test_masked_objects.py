"""The loss objects for real steps in Keras: padding and masks in `fit`, weights, reductions, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import seqloss.numpy as host
from seqloss import errors
from seqloss.keras import MaskedAbsoluteError, MaskedCrossEntropy, MaskedSquaredError, TimeWeighted

RNG = np.random.default_rng(0)
LENGTHS = np.array([5, 2, 3, 4])
REAL = np.arange(5) < LENGTHS[:, None]
TOKENS = np.where(REAL, RNG.integers(1, 6, (4, 5)), 0)
LABELS = np.where(REAL, TOKENS % 4, -1)
SCORES = RNG.normal(size=(4, 5, 4)).astype(np.float32)
WEIGHTS = RNG.random((4, 5)).astype(np.float32)


def tagger(mask_zero: bool) -> keras.Model:
    layers = [
        keras.Input((5,), dtype="int32"),
        keras.layers.Embedding(6, 8, mask_zero=mask_zero),
        keras.layers.Dense(4),
    ]
    return keras.Sequential(layers)


FITS: dict[str, tuple[Any, int, bool]] = {
    "padding": (MaskedCrossEntropy(), -1, False),
    "another padding": (MaskedCrossEntropy(padding=7), 7, False),
    "mask": (MaskedCrossEntropy(padding=None), 0, True),
    "weighted": (TimeWeighted(MaskedCrossEntropy(), weight="linear"), -1, False),
    "weighted Keras loss": (
        TimeWeighted(keras.losses.SparseCategoricalCrossentropy(from_logits=True), padding=-1), -1, False
    ),
}  # fmt: skip


@pytest.mark.parametrize(("loss", "padding", "mask"), FITS.values(), ids=FITS)
def test_fit_learns_from_real_steps_and_evaluates_as_by_hand(loss: Any, padding: int, mask: bool, jit: bool) -> None:
    model, y = tagger(mask), np.where(REAL, LABELS, padding)
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss=loss, jit_compile=jit)
    losses = model.fit(TOKENS, y, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    per_step = host.masked_cross_entropy(model.predict(TOKENS, batch_size=4, verbose=0), y, mask=REAL, reduction="none")
    weight = {"weighted": "linear", "weighted Keras loss": "sqrt"}.get(
        next(name for name, case in FITS.items() if case[0] is loss)
    )
    expected = per_step.sum() / REAL.sum() if weight is None else host.time_weighted(per_step, mask=REAL, weight=weight)
    np.testing.assert_allclose(model.evaluate(TOKENS, y, batch_size=4, verbose=0), expected, rtol=1e-4)


def test_means_are_over_real_steps_and_weights_are_keras_own() -> None:
    per_step = host.masked_cross_entropy(SCORES, LABELS, padding=-1, reduction="none")
    for weights in (WEIGHTS, WEIGHTS[:, 0], WEIGHTS[:, :1]):
        rows = np.broadcast_to(weights.reshape(4, -1), (4, 5))
        weighted = per_step * rows
        expected = {
            "sum": weighted.sum(),
            "mean": weighted.sum() / REAL.sum(),
            "sum_over_batch_size": weighted.sum() / REAL.sum(),
            "mean_with_sample_weight": weighted.sum() / (rows * REAL).sum(),
            None: weighted,
        }
        for reduction, value in expected.items():
            found = MaskedCrossEntropy(reduction=reduction)(LABELS, SCORES, weights)
            np.testing.assert_allclose(ops.convert_to_numpy(found), value, rtol=1e-5, atol=1e-6)


def test_padding_has_no_gradient_and_is_never_read(value_and_grad: Any) -> None:
    spoilt = np.where(REAL[..., None], SCORES, np.nan).astype(np.float32)
    wrapped = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for loss in (MaskedCrossEntropy(), TimeWeighted(MaskedCrossEntropy()), TimeWeighted(wrapped, padding=-1)):
        value, gradient = value_and_grad(lambda x, loss=loss: loss(LABELS, x), spoilt)
        assert np.isfinite(value)
        assert (gradient[~REAL] == 0).all()
        assert (gradient[REAL] != 0).any(axis=1).all()


def test_errors_take_nan_as_padding_and_one_axis_more() -> None:
    y = np.where(REAL, WEIGHTS, np.nan)
    difference = (SCORES[..., 0] - WEIGHTS)[REAL]
    for loss, expected in (
        (MaskedSquaredError(padding=float("nan")), (difference**2).mean()),
        (MaskedAbsoluteError(padding=float("nan")), np.abs(difference).mean()),
        (TimeWeighted("mse", padding=float("nan"), weight=ops.ones_like), (difference**2).mean()),
    ):
        np.testing.assert_allclose(ops.convert_to_numpy(loss(y, SCORES[..., :1])), expected, rtol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
def squared_step(step: Any) -> Any:
    return step * step


OBJECTS = [
    MaskedCrossEntropy("sum", padding=None, label_smoothing=0.1),
    MaskedSquaredError(padding=-9.0, dtype="float64"),
    MaskedAbsoluteError(name="l1"),
    TimeWeighted(MaskedCrossEntropy(padding=3), weight=squared_step),
    TimeWeighted("mse", weight="exponential", padding=0),
    TimeWeighted(keras.losses.SparseCategoricalCrossentropy(from_logits=True), padding=-1),
]


@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_a_loss_comes_back_from_its_configuration(loss: Any) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_a_saved_model_evaluates_as_before(tmp_path: Path) -> None:
    model = tagger(True)
    model.compile(loss=TimeWeighted(MaskedCrossEntropy(), weight=squared_step))
    before = model.evaluate(TOKENS, LABELS, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.evaluate(TOKENS, LABELS, batch_size=4, verbose=0), before, rtol=1e-6)


def test_errors_have_keras_names() -> None:
    with pytest.raises(errors.LabelError, match=r"y_true\[0, \d\]: found label \d, expected 0 to 3"):
        MaskedCrossEntropy()(np.where(REAL, LABELS + 4, -1), SCORES)
    with pytest.raises(errors.ShapeError, match=r"y_true: expected shape \(4, 5, 4\)"):
        MaskedSquaredError()(WEIGHTS, SCORES)
    with pytest.raises(errors.ShapeError, match="sample_weight"):
        MaskedCrossEntropy()(LABELS, SCORES, SCORES)
    with pytest.raises(errors.OptionError, match="loss: expected a Keras loss"):
        TimeWeighted(3)  # type: ignore[arg-type]
    with pytest.raises(errors.ShapeError, match=r"loss: expected shape \(batch, time\)"):
        TimeWeighted(lambda y_true, y_pred: ops.mean(y_pred, axis=(1, 2)))(LABELS, SCORES)


@pytest.mark.parametrize("padding", [-1, None, -(2**31)])
@pytest.mark.parametrize("label", [1.5, np.nan, np.inf])
def test_a_label_that_is_no_integer_is_named_and_never_taken_for_padding(label: float, padding: int | None) -> None:
    y_true = np.array([[1.0, label], [2.0, 0.0]])
    with pytest.raises(errors.DTypeError, match=rf"^y_true\[0, 1\]: expected an integer, found {label}"):
        MaskedCrossEntropy(padding=padding)(y_true, np.zeros((2, 2, 3), "float32"))


def test_a_masked_label_need_not_be_an_integer() -> None:
    x = keras.layers.Masking()(np.array([[[1.0, 2.0], [0.0, 0.0]]], "float32"))
    found = MaskedCrossEntropy()(np.array([[1.0, np.nan]]), x)
    np.testing.assert_allclose(float(found), np.log1p(np.exp(-1)), rtol=1e-6)
