"""The loss objects of points, pairs and triplets in Keras: fit, weights, configuration, saving."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from seqloss.errors import DTypeError, LabelError, NormalizationError, OptionError, ShapeError
from seqloss.keras import CosineTriplet, PairwiseKLHinge, SoftNearestNeighbor
from seqloss.numpy import cosine_triplet, pairwise_kl_hinge, pick_triplets, soft_nearest_neighbor

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def model(loss: keras.losses.Loss) -> keras.Model:
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    network.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss)
    return network


FITS = [
    PairwiseKLHinge(margin=2.0),
    CosineTriplet(),
    CosineTriplet(negatives="hardest", name="hardest"),
    SoftNearestNeighbor(),
]


@pytest.mark.parametrize("loss", FITS, ids=lambda loss: loss.name)
def test_fit_makes_the_loss_smaller(loss: keras.losses.Loss) -> None:
    keras.utils.set_random_seed(1)
    history = model(loss).fit(X, LABELS, epochs=20, batch_size=8, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.8 * history[0]


def test_the_mean_over_rows_is_the_mean_over_pairs_or_triplets() -> None:
    a, p, n = pick_triplets(X, LABELS)
    expected = float(cosine_triplet(X[a], X[p], X[n]))
    assert float(CosineTriplet()(LABELS, X)) == pytest.approx(expected, rel=1e-5)
    for labels in (LABELS.astype("float32"), LABELS[:, None], LABELS.tolist()):
        assert float(PairwiseKLHinge()(labels, X)) == pytest.approx(float(pairwise_kl_hinge(X, LABELS)), rel=1e-5)


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
def test_the_mean_over_rows_is_the_mean_over_points_with_a_neighbour() -> None:
    loss, labels = SoftNearestNeighbor(temperature=2.0, metric="cosine"), np.array([5, 1, 2, 5, 1, 4, 5, 1])
    expected = soft_nearest_neighbor(X, labels, temperature=2.0, metric="cosine")
    for given in (labels, labels.astype("float32")[:, None]):
        assert float(loss(given, X)) == pytest.approx(float(expected), rel=1e-5)
    rows = keras.ops.convert_to_numpy(SoftNearestNeighbor(reduction="none")(labels, X))
    np.testing.assert_allclose(rows, soft_nearest_neighbor(X, labels, reduction="none") * 8 / 6, rtol=1e-5)
    assert float(SoftNearestNeighbor()(np.arange(8), X)) == 0


def test_weights_are_those_of_rows() -> None:
    rows = keras.ops.convert_to_numpy(PairwiseKLHinge(reduction=None)(LABELS, X))
    weights = np.arange(8, dtype="float32")
    weighted = keras.ops.convert_to_numpy(PairwiseKLHinge(reduction=None)(LABELS, X, weights))
    np.testing.assert_allclose(weighted, rows * weights, rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        PairwiseKLHinge(margin=3, from_logits=False, class_reduction="mean", hinge="softplus", name="mine"),
        CosineTriplet(margin=0.5, negatives="hardest", validate=False, reduction="sum"),
        SoftNearestNeighbor(temperature=0.5, metric="cosine", dtype="float64"),
    ],
    ids=lambda loss: loss.name,
)
def test_a_configuration_makes_the_same_object(loss: keras.losses.Loss, tmp_path: Path) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    path = tmp_path / "model.keras"
    model(loss).save(path)
    assert keras.saving.load_model(path).loss.get_config() == loss.get_config()


def test_mistakes_are_named_by_the_names_of_keras() -> None:
    with pytest.raises(NormalizationError, match=r"y_pred\[0, :\]: expected probabilities.*from_logits=True"):
        PairwiseKLHinge(from_logits=False)(LABELS, X)
    with pytest.raises(ShapeError, match=r"y_true: expected shape \(batch,\), found \(8, 3\).*not one-hot"):
        PairwiseKLHinge()(np.eye(3)[LABELS], X)
    with pytest.raises(DTypeError, match=r"y_true\[0\]: expected an integer, found inf"):
        PairwiseKLHinge()(np.array([np.inf, 1.0]), np.zeros((2, 3), "float32"))
    with pytest.raises(DTypeError, match=r"y_true\[1\]: expected an integer, found 0.5"):
        PairwiseKLHinge()(LABELS * 0.5, X)
    with pytest.raises(LabelError, match="y_true: found label 1 in all 8 rows"):
        CosineTriplet()(np.ones(8, int), X)
    with pytest.raises(ShapeError, match=r"y_pred: expected shape .*found \(8, 0\)"):
        SoftNearestNeighbor()(LABELS, X[:, :0])
    with pytest.raises(OptionError, match="temperature: expected a positive number, found 0"):
        SoftNearestNeighbor(temperature=0)
    with pytest.raises(OptionError, match="metric: found 'manhattan'"):
        SoftNearestNeighbor(metric="manhattan")
    assert float(CosineTriplet(validate=False)(np.ones(8, int), X)) == 0
    with pytest.raises(OptionError, match="negatives: found 'random', expected one of 'semi-hard', 'hardest'"):
        CosineTriplet(negatives="random")
