"""The pairwise KL loss of every frontend is the definition, value and gradient, and keeps the contract."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from seqloss.errors import DTypeError, NormalizationError, OptionError, ShapeError

from .frontends import ROUNDING, LossFrontend, params
from .plain_pairs import gradients, pair_losses

ROWS, CLASSES = 5, 4
LABELS = np.array([3, -1, 3, 2**33, 3])
UNEVEN = np.linspace(-1.0, 2.0, ROWS * ROWS).reshape(ROWS, ROWS)

pytestmark = pytest.mark.parametrize("frontend", params())


def scores(frontend: LossFrontend) -> np.ndarray:
    return frontend.rounded(np.random.default_rng(5).normal(size=(ROWS, CLASSES)))


def probabilities(frontend: LossFrontend) -> np.ndarray:
    return frontend.rounded(np.random.default_rng(6).dirichlet(np.full(CLASSES, 5.0), ROWS))


def tolerance(frontend: LossFrontend) -> float:
    """Of values; the definition's own gradients are finite differences, good to 1e-10."""
    return 1e-9 if frontend.dtype == "float64" else 3e-5


def gradient_tolerance(frontend: LossFrontend) -> float:
    return max(tolerance(frontend), ROUNDING[frontend.dtype])


def close(found: np.ndarray, expected: np.ndarray, allowed: float) -> None:
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite].astype(np.float64))
    scale = max(1.0, float(np.abs(expected[finite]).max(initial=0)))
    np.testing.assert_allclose(found[finite], expected[finite].astype(np.float64), rtol=0, atol=allowed * scale)


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({}, {}),
        ({"hinge": "softplus", "margin": 3.0}, {"soft": True, "margin": 3.0}),
        ({"class_reduction": "mean", "margin": 0.1}, {"mean": True, "margin": 0.1}),
        ({"from_logits": False, "margin": 2.0}, {"from_logits": False, "margin": 2.0}),
        ({"from_logits": False, "hinge": "softplus"}, {"from_logits": False, "soft": True}),
    ],
)
def test_value_and_gradient_are_the_definitions(
    frontend: LossFrontend, options: dict[str, Any], plain: dict[str, Any]
) -> None:
    x = scores(frontend) if plain.get("from_logits", True) else probabilities(frontend)
    losses, (gradient,) = frontend.value_and_grads(
        "pairwise_kl_hinge", [x], LABELS, reduction="none", upstream=UNEVEN, **options
    )
    assert losses.dtype == frontend.computed_in
    close(losses, pair_losses(x, LABELS, **plain), tolerance(frontend))
    (expected,) = gradients(lambda x: (UNEVEN * pair_losses(x, LABELS, **plain)).sum(), [x])
    close(gradient, expected, gradient_tolerance(frontend))


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1.0), ("mean", 10.0), ("denominator", 7.0)])
def test_reductions_weigh_losses_and_gradients_alike(frontend: LossFrontend, reduction: str, divisor: float) -> None:
    options = {"reduction": "sum", "denominator": 7.0} if reduction == "denominator" else {"reduction": reduction}
    x = scores(frontend)
    loss, (gradient,) = frontend.value_and_grads("pairwise_kl_hinge", [x], LABELS, upstream=3.0, **options)
    assert loss.shape == ()
    close(loss, pair_losses(x, LABELS).sum()[None][0] / divisor, tolerance(frontend))
    (expected,) = gradients(lambda x: 3 * pair_losses(x, LABELS).sum() / divisor, [x])
    close(gradient, expected, gradient_tolerance(frontend))


@pytest.mark.parametrize("from_logits", [True, False])
def test_classes_without_probability_are_exact(frontend: LossFrontend, from_logits: bool) -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    labels = [0, 0, 0, 1]
    with np.errstate(divide="ignore"):
        x = np.log(p) if from_logits else p
    losses, (gradient,) = frontend.value_and_grads(
        "pairwise_kl_hinge", [x], labels, from_logits=from_logits, reduction="none"
    )
    expected = pair_losses(p, labels, from_logits=False)
    assert np.isinf(expected).sum() == 2, "KL(2 || 0) and KL(2 || 1): row 2 has a class that they have not"
    assert expected[2, 3] == 0, "a pair of different labels that is infinitely far apart"
    close(losses, expected, 10 * gradient_tolerance(frontend))
    assert np.isfinite(gradient).all()
    assert (gradient[p == 0] == 0).all()
    finite = np.isfinite(expected)
    x = frontend.rounded(x)
    (slopes,) = gradients(lambda x: pair_losses(x, labels, from_logits=from_logits)[finite].sum(), [x])
    close(gradient[p > 0], slopes[p > 0], 10 * gradient_tolerance(frontend))


def test_improbable_classes_keep_their_gradient(frontend: LossFrontend) -> None:
    """The probabilities are 0 in every type, their logarithms are not."""
    x = np.array([[0.0, -2048.0, 0.0], [0.0, 0.0, -1024.0]])
    losses, (gradient,) = frontend.value_and_grads("pairwise_kl_hinge", [x], [0, 0], reduction="none")
    np.testing.assert_allclose(losses, [[0, 512], [1024, 0]], rtol=1e-3)
    np.testing.assert_allclose(gradient, [[-255.5, -0.5, 256], [-511.5, 512, -0.5]], rtol=1e-2)


def test_improbable_probabilities_are_not_clipped(frontend: LossFrontend) -> None:
    small = 2.0**-14 if frontend.dtype == "float16" else 2.0**-60
    losses, (gradient,) = frontend.value_and_grads(
        "pairwise_kl_hinge", [np.array([[1.0, small], [0.5, 0.5]])], [0, 0], from_logits=False, reduction="none"
    )
    np.testing.assert_allclose(losses[1, 0], 0.5 * np.log(0.5) + 0.5 * np.log(0.5 / small), rtol=1e-5)
    np.testing.assert_allclose(gradient[0, 1], np.log(small / 0.5) + 1 - 0.5 / small, rtol=1e-2)


def test_one_label_alone_only_pulls_and_labels_of_their_own_only_push(frontend: LossFrontend) -> None:
    x = scores(frontend)
    for labels in ([4] * ROWS, list(range(ROWS))):
        losses = frontend.value("pairwise_kl_hinge", [x], labels, reduction="none")
        close(losses, pair_losses(x, labels), tolerance(frontend))


@pytest.mark.parametrize("rows", [0, 1])
def test_without_a_pair_the_loss_is_0(frontend: LossFrontend, rows: int) -> None:
    loss, (gradient,) = frontend.value_and_grads("pairwise_kl_hinge", [scores(frontend)[:rows]], LABELS[:rows])
    assert loss == 0
    assert gradient.shape == (rows, CLASSES)
    assert not gradient.any()


def test_equal_rows_are_never_below_0(frontend: LossFrontend) -> None:
    x = np.repeat(scores(frontend)[:1] * 30, ROWS, axis=0) + np.arange(ROWS)[:, None] * 8
    losses, (gradient,) = frontend.value_and_grads("pairwise_kl_hinge", [x], [1] * ROWS, reduction="none")
    assert (losses >= 0).all()
    assert np.abs(losses).max() < 0.02
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("bad", [[math.nan, 0, 0, 0], [math.inf, 0, 0, 0], [-math.inf] * 4])
def test_a_row_that_is_not_finite_makes_its_pairs_nan_and_no_others(frontend: LossFrontend, bad: list[float]) -> None:
    x = scores(frontend)
    before = frontend.value("pairwise_kl_hinge", [x], LABELS, reduction="none")
    x[1] = bad
    losses = frontend.value("pairwise_kl_hinge", [x], LABELS, reduction="none")
    touched = np.zeros((ROWS, ROWS), bool)
    touched[1] = touched[:, 1] = True
    touched[1, 1] = False
    assert np.isnan(losses[touched]).all()
    np.testing.assert_allclose(losses[~touched], before[~touched], rtol=1e-6)


def test_the_callers_arrays_keep_their_values(frontend: LossFrontend) -> None:
    x, labels = frontend.stored(scores(frontend)), LABELS.copy()
    kept = x.copy()
    x.flags.writeable = labels.flags.writeable = False
    frontend.value("pairwise_kl_hinge", [x], labels)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(labels, LABELS)


def test_rows_that_are_no_probabilities_are_refused_with_their_likely_cause(frontend: LossFrontend) -> None:
    x = np.full((3, 2), 0.5)
    for bad, words in (
        ([2.0, -1.0], r"embeddings\[1, :\].*found 2; raw scores.*from_logits=True"),
        ([math.log(0.5)] * 2, r"embeddings\[1, :\].*log-probabilities.*from_logits=True"),
        ([0.25, 0.25], r"embeddings\[1, :\].*a sum of 0.5"),
    ):
        x[1] = bad
        with pytest.raises(NormalizationError, match=words):
            frontend.value("pairwise_kl_hinge", [x], [0, 0, 0], from_logits=False)


def test_where_values_are_not_seen_such_a_row_is_nan(frontend: LossFrontend) -> None:
    x = np.array([[0.5, 0.5], [2.0, -1.0], [0.25, 0.75]])
    options = {"from_logits": False, "reduction": "none"}
    if not frontend.traced_gradient:
        with pytest.raises(NormalizationError):
            frontend.value_and_grads("pairwise_kl_hinge", [x], [0, 0, 0], **options)
        return
    losses, _ = frontend.value_and_grads("pairwise_kl_hinge", [x], [0, 0, 0], **options)
    assert np.isnan(losses[1, 0])
    assert np.isfinite(losses[0, 2])


def test_without_validate_values_are_used_as_they_are(frontend: LossFrontend) -> None:
    x = np.array([[0.5, 0.25], [0.25, 0.25]])
    losses = frontend.value("pairwise_kl_hinge", [x], [0, 0], from_logits=False, reduction="none", validate=False)
    close(losses, pair_losses(x, [0, 0], from_logits=False), tolerance(frontend))


@pytest.mark.parametrize(
    ("shape", "labels", "options", "error", "words"),
    [
        ((3,), [0] * 3, {}, ShapeError, r"embeddings: expected shape \(batch, classes\), found \(3,\)"),
        ((3, 2, 2), [0] * 3, {}, ShapeError, r"embeddings: expected shape.*reshape"),
        ((3, 0), [0] * 3, {}, ShapeError, r"embeddings: expected shape.*empty axis"),
        ((3, 2), [0] * 2, {}, ShapeError, r"labels: expected 3, one for each row of embeddings, found 2"),
        ((3, 2), [[0]] * 3, {}, ShapeError, r"labels: expected shape \(batch,\), found \(3, 1\).*one-hot.*column"),
        ((3, 2), np.zeros(3), {}, DTypeError, r"labels: expected integers, one for each row of emb.*float64"),
        ((3, 2), [0] * 3, {"margin": -1.0}, OptionError, r"margin: expected a finite number, 0 or more, found -1.0"),
        ((3, 2), [0] * 3, {"margin": math.nan}, OptionError, r"margin: .*found nan"),
        ((3, 2), [0] * 3, {"hinge": "soft"}, OptionError, r"hinge: found 'soft', expected one of 'hard', 'softplus'"),
        ((3, 2), [0] * 3, {"class_reduction": "max"}, OptionError, r"class_reduction: found 'max'"),
        ((3, 2), [0] * 3, {"reduction": "batch"}, OptionError, r"reduction: found 'batch'"),
        ((3, 2), [0] * 3, {"denominator": 2.0}, OptionError, r"denominator: goes with reduction=\"sum\" only"),
    ],
)
def test_mistakes_are_named(
    frontend: LossFrontend, shape: tuple[int, ...], labels: Any, options: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        frontend.value("pairwise_kl_hinge", [np.zeros(shape)], labels, **options)
