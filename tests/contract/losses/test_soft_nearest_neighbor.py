"""The soft nearest neighbour loss and its gradients are those of a loop over pairs, in every frontend.

Tolerances: a score is |z_i|^2 + |z_j|^2 - 2 z_i z_j of the scaled points z, and off by (8 + dimensions) |z|^2 u; a loss
is the difference of two logarithms of sums, off by twice that and a few roundings; a gradient is a sum of terms that
have the relative error of an exponential of scores over its sum, four times that of a score.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

from seqloss import contract
from seqloss.errors import SeqLossWarning

from .frontends import ROUNDING, LossFrontend
from .plain_soft_nearest_neighbor import Plain, plain_losses

UNIT = {"float16": 2.0**-24, "bfloat16": 2.0**-24, "float32": 2.0**-24, "float64": 2.0**-53}
LEAST = {"float16": 2.0**-25}
RNG = np.random.default_rng(0)

POINTS = RNG.normal(size=(14, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0, 7, 0, 1, 9, 0, 0])  # 7 and 9 occur once
TWO = np.array([0, 1] * 7)


def batches() -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Points, labels and temperature."""
    twice = np.concatenate([POINTS[:7], POINTS[:7]])
    return {
        "classes of several sizes": (POINTS, LABELS, 0.7),
        "cold": (POINTS, LABELS, 0.05),
        "hot": (POINTS, LABELS, 300.0),
        "far from the origin": (POINTS + 100, LABELS, 1.0),
        "each point twice": (twice, LABELS, 0.5),
        "one dimension": (POINTS[:, :1], TWO, 1.0),
        "two points": (POINTS[:2], np.array([4, 4]), 1.0),
        "clusters": (POINTS + 40 * TWO[:, None], TWO, 1.0),
        "entangled clusters": (POINTS + 40 * (np.arange(14) < 7)[:, None], TWO, 1.0),
    }


class Found(NamedTuple):
    """A loss, and the gradients of sum(upstream * loss)."""

    loss: np.ndarray
    gradient: np.ndarray
    of_temperature: np.ndarray


def loss_and_grad(
    frontend: LossFrontend, points: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0, **options: Any
) -> Found:
    loss, gradients = frontend.value_and_grads(
        "soft_nearest_neighbor", [points], labels, learnt={"temperature": temperature}, **options
    )
    return Found(loss, *gradients)


def widens(frontend: LossFrontend) -> bool:
    """Whether float32 points that float32 cannot compare well are computed in float64."""
    return frontend.name in ("numpy", "torch", "keras-torch")


def score_error(frontend: LossFrontend, points: np.ndarray, temperature: float, metric: str) -> float:
    norm = 2 / temperature
    if metric == "euclidean":
        norm = float(((points - points.mean(0)) ** 2).sum(1).max()) / temperature
    wide = widens(frontend) and contract.needs_float64(norm)
    return (8 + points.shape[1]) * norm * (2.0**-53 if wide else UNIT[frontend.dtype])


def expect(
    frontend: LossFrontend, found: Found, plain: Plain, points: np.ndarray, temperature: float, metric: str,
    loss: Any, scale: float,
) -> None:  # fmt: skip
    """Compare with the loop's loss and its gradients, within the budget above."""
    u, score = UNIT[frontend.dtype], score_error(frontend, points, temperature, metric)
    assert found.loss.dtype == frontend.computed_in
    worst = max(float(plain.losses.max(initial=0)), 1.0)
    np.testing.assert_allclose(found.loss, loss, rtol=64 * u, atol=(2 * score + 8 * u * worst) * scale)
    relative = 4 * score + 64 * u
    allowed = relative * plain.terms
    allowed += ROUNDING[frontend.dtype] / 2 * (np.abs(plain.gradient) + allowed)
    allowed += LEAST.get(frontend.dtype, 0.0) + 2.0**-126
    off = np.abs(found.gradient - plain.gradient)
    assert (off <= allowed).all(), (off / allowed).max()
    size = np.abs(points - points.mean(0)) if metric == "euclidean" else np.abs(points)
    allowed_of_heat = relative * ((plain.terms * size).sum() / temperature + plain.terms_of_temperature)
    assert abs(found.of_temperature - plain.of_temperature) <= allowed_of_heat + 2.0**-126


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("batch", batches())
def test_losses_and_gradients_are_those_of_the_loop(
    precise_points_frontend: LossFrontend, batch: str, metric: str, small_blocks: None
) -> None:
    if precise_points_frontend.few_shapes and batch in ("one dimension", "two points"):
        pytest.skip("a compilation for what other frontends show with the same formula")
    compare(precise_points_frontend, batch, metric)


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
@pytest.mark.parametrize("batch", ["classes of several sizes", "clusters"])
def test_half_types_are_computed_in_float32(points_frontend: LossFrontend, batch: str) -> None:
    if ROUNDING[points_frontend.dtype]:
        compare(points_frontend, batch, "euclidean")


def compare(frontend: LossFrontend, batch: str, metric: str) -> None:
    points, labels, temperature = batches()[batch]
    points, weights = frontend.rounded(points), np.linspace(-1, 2, len(points))
    found = loss_and_grad(
        frontend, points, labels, temperature=temperature, metric=metric, reduction="none", upstream=weights
    )
    plain = plain_losses(points, labels, temperature, metric, weights)
    expect(frontend, found, plain, points, temperature, metric, plain.losses, 1.0)


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_mean_is_over_points_with_a_neighbour(precise_points_frontend: LossFrontend, reduction: str) -> None:
    points = precise_points_frontend.rounded(POINTS)
    weight = 3.0 / (len(points) - 2 if reduction == "mean" else 1)
    found = loss_and_grad(precise_points_frontend, points, LABELS, reduction=reduction, upstream=3.0)
    plain = plain_losses(points, LABELS, 1.0, "euclidean", np.full(len(points), weight))
    loss = plain.losses.sum() * weight / 3
    expect(precise_points_frontend, found, plain, points, 1.0, "euclidean", loss, weight * len(points))
    alone = precise_points_frontend.value("soft_nearest_neighbor", [points], LABELS, reduction=reduction)
    np.testing.assert_allclose(alone, found.loss, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
def test_several_blocks_of_the_usual_size(float32_points_frontend: LossFrontend) -> None:
    labels = np.repeat([0, 1, 2, 3, 4], [520, 30, 45, 3, 2])
    points = np.random.default_rng(1).normal(size=(600, 2)).astype(np.float32) + labels[:, None] % 3
    order = np.random.default_rng(2).permutation(600)
    found = loss_and_grad(float32_points_frontend, points[order], labels[order], reduction="none")
    few = np.random.default_rng(3).permutation(600)[:12]
    squares = ((points[order][:, None].astype(np.float64) - points[order][None]) ** 2).sum(2)
    weights = np.exp(-squares) * (1 - np.eye(600))
    same = labels[order][:, None] == labels[order][None]
    losses = np.log(weights.sum(1)) - np.log((weights * same).sum(1))
    np.testing.assert_allclose(found.loss[few], losses[few], rtol=1e-5, atol=1e-6)
    slope = weights / weights.sum(1, keepdims=True) - weights * same / (weights * same).sum(1, keepdims=True)
    slope = -(slope + slope.T)
    gradient = 2 * (slope.sum(1, keepdims=True) * points[order] - slope @ points[order])
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-3, atol=1e-5)


def test_a_point_whose_label_occurs_once_has_no_loss_and_is_counted(points_frontend: LossFrontend) -> None:
    points = POINTS[:6]
    with pytest.warns(SeqLossWarning, match="soft_nearest_neighbor: 2 of 6 points have a label that occurs once"):
        losses = points_frontend.value("soft_nearest_neighbor", [points], [3, 8, 3, -1, 8, 5], reduction="none")
    assert (losses == 0).tolist() == [False, False, False, True, False, True]
    with pytest.warns(SeqLossWarning, match="2 of 6"):
        mean = points_frontend.value("soft_nearest_neighbor", [points], [3, 8, 3, -1, 8, 5])
    np.testing.assert_allclose(mean, losses.sum() / 4, rtol=1e-6)


def test_the_warning_points_to_the_callers_line(points_frontend: LossFrontend) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        points_frontend.value("soft_nearest_neighbor", [POINTS[:3]], [0, 0, 1])
    ours = [warning for warning in found if issubclass(warning.category, SeqLossWarning)]  # Keras gives others
    assert [warning.filename.endswith("frontends.py") for warning in ours] == [True]


@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [5, 5, 5, 5], [2], []], ids=["all lone", "one class", "one", "none"])
def test_a_batch_without_anything_to_separate_gives_0_and_no_gradient(
    points_frontend: LossFrontend, labels: list[int], reduction: str
) -> None:
    if points_frontend.few_shapes and reduction != "mean":
        pytest.skip("a compilation for what other frontends show with the same formula")
    points = POINTS[: len(labels)]
    array = np.array(labels, np.int64)
    found = loss_and_grad(points_frontend, points, array, reduction=reduction, temperature=0.5)
    assert found.loss.shape == ((len(labels),) if reduction == "none" else ())
    assert (found.loss == 0).all()
    assert (found.gradient == 0).all()
    assert found.gradient.shape == points.shape
    assert found.of_temperature == 0
    assert (points_frontend.value("soft_nearest_neighbor", [points], array, reduction=reduction) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_coordinate_that_is_not_finite_makes_every_loss_nan(
    precise_points_frontend: LossFrontend, bad: float, metric: str
) -> None:
    points = POINTS.copy()
    points[4, 1] = bad
    found = loss_and_grad(
        precise_points_frontend, points, TWO, temperature=0.7, metric=metric, reduction="none", upstream=np.ones(14)
    )
    assert np.isnan(found.loss).all()
    assert np.isnan(found.gradient).all()


def test_far_points_give_the_difference_of_distances(precise_points_frontend: LossFrontend) -> None:
    points = np.array([[0.0, 0], [1e4, 0], [0, 3e4], [1e4, 3e4]])
    found = loss_and_grad(precise_points_frontend, points, np.array([0, 1, 0, 1]), reduction="none")
    np.testing.assert_allclose(found.loss, 9e8 - 1e8, rtol=1e-6)
    np.testing.assert_allclose(found.gradient[0], [4e4, -12e4], rtol=1e-6)


def test_a_small_loss_has_all_its_digits(precise_points_frontend: LossFrontend) -> None:
    points = np.array([[0.0], [0.5], [7.0], [7.5]])
    loss = precise_points_frontend.value("soft_nearest_neighbor", [points], [0, 0, 1, 1], reduction="none")[0]
    expected = np.exp(0.25) * (np.exp(-49.0) + np.exp(-56.25))
    np.testing.assert_allclose(loss, expected, rtol=1e-4 if precise_points_frontend.dtype == "float32" else 1e-12)
    gradient = loss_and_grad(precise_points_frontend, points, np.array([0, 0, 1, 1]), reduction="sum").gradient
    assert (np.abs(gradient) > 1e-21).all()


def test_no_loss_is_below_0(float32_points_frontend: LossFrontend) -> None:
    points = np.random.default_rng(4).normal(size=(40, 2)).astype(np.float32)
    points[20:] += 3
    losses = float32_points_frontend.value(
        "soft_nearest_neighbor", [points], np.repeat([0, 1], 20), reduction="none", temperature=0.3
    )
    assert (losses >= 0).all()


def test_the_mean_of_the_points_costs_no_digits(float32_points_frontend: LossFrontend) -> None:
    points = np.round(POINTS[:12] * 64) / 64
    moved = loss_and_grad(float32_points_frontend, points + 4096, np.array([0, 1, 2] * 4))
    at_origin = loss_and_grad(float32_points_frontend, points, np.array([0, 1, 2] * 4))
    np.testing.assert_allclose(moved.loss, at_origin.loss, rtol=1e-5)
    np.testing.assert_allclose(moved.gradient, at_origin.gradient, rtol=1e-3, atol=1e-5)


def test_points_whose_norm_is_large_are_compared_in_float64(float32_points_frontend: LossFrontend) -> None:
    if not widens(float32_points_frontend):
        pytest.skip("computes in the type of the points, as its documentation says")
    points = (np.round(POINTS[:12] * 64) / 64 + np.array([0, 1] * 6)[:, None] * 2048).astype(np.float32)
    labels = np.array([0, 0, 1, 1] * 3)
    found = loss_and_grad(float32_points_frontend, points, labels, reduction="none")
    np.testing.assert_allclose(found.loss, plain_losses(points, labels, 1.0, "euclidean").losses, rtol=1e-5, atol=1e-6)


def test_labels_mean_nothing_but_same_or_not(points_frontend: LossFrontend) -> None:
    expected = points_frontend.value(
        "soft_nearest_neighbor", [POINTS[:8]], np.array([0, 1, 0, 1, 2, 2, 0, 1]), reduction="none"
    )
    far = np.array([-(2**62), 2**32, -(2**62), 2**32, 2**33, 2**33, -(2**62), 2**32])
    unsigned = [np.array([0, 1, 0, 1, 255, 255, 0, 1], kind) for kind in (np.uint8, np.uint16)]
    for labels in (far, *unsigned, far.tolist()):
        found = points_frontend.value("soft_nearest_neighbor", [POINTS[:8]], labels, reduction="none")
        np.testing.assert_allclose(found, expected, rtol=1e-5 if points_frontend.computed_in == "float32" else 1e-13)


def test_a_point_of_zeros_is_half_from_all_others_and_has_no_gradient(precise_points_frontend: LossFrontend) -> None:
    points = np.array([[0.0, 0], [0, 0], [3e-30, 0], [0, 2e15], [1, 1]])
    found = loss_and_grad(precise_points_frontend, points, np.array([0, 0, 1, 1, 1]), metric="cosine", reduction="none")
    np.testing.assert_allclose(found.loss[:2], np.log(1 + 3 * np.exp(-0.5)), rtol=1e-6)
    plain = plain_losses(points, [0, 0, 1, 1, 1], 1.0, "cosine")
    np.testing.assert_allclose(found.loss, plain.losses, rtol=1e-5)
    assert (found.gradient[:2] == 0).all()
    np.testing.assert_allclose(found.gradient[2:], plain.gradient[2:], rtol=1e-5, atol=1e-6)
