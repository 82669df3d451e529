"""Each reduction's value, and the gradient that goes with it."""

from __future__ import annotations

import numpy as np
import pytest

from .frontend import Frontend

LOGITS = 2 * np.random.default_rng(2).normal(size=(4, 7, 5))
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0], [1, 1, 1]]), [7, 5, 3, 4], np.array([3, 2, 0, 3])
INFEASIBLE = 3  # three equal labels need five frames

WEIGHTS = {
    ("sum", None): [1.0, 1.0, 1.0, 1.0],
    ("sum", 12.5): [1 / 12.5] * 4,
    ("mean", None): [1 / 12, 1 / 8, 1 / 4, 1 / 12],
    ("batch", None): [1 / 4] * 4,
    ("labels", None): [1 / 8] * 4,
}
CASES = pytest.mark.parametrize(("reduction", "denominator"), WEIGHTS)


@CASES
def test_a_reduction_weighs_losses_and_gradients_alike(
    frontend: Frontend, reduction: str, denominator: float | None
) -> None:
    weights = np.array(WEIGHTS[reduction, denominator])
    args = (LOGITS, TARGETS, FRAMES, LABELS)
    losses, _ = frontend.loss_and_grad(*args, infeasible="zero")
    _, expected = frontend.loss_and_grad(*args, infeasible="zero", upstream=weights)
    loss, grad = frontend.loss_and_grad(*args, infeasible="zero", reduction=reduction, denominator=denominator)
    assert loss.shape == ()
    assert loss.dtype == frontend.computed_in
    assert loss == pytest.approx((losses.astype(np.float64) * weights).sum(), rel=1e-6)
    np.testing.assert_allclose(grad, expected, rtol=1e-6)
    assert grad[:3].any(axis=(1, 2)).all()
    assert not grad[INFEASIBLE].any()


@CASES
def test_an_infeasible_row_makes_the_total_inf_and_leaves_the_gradient_alone(
    frontend: Frontend, reduction: str, denominator: float | None
) -> None:
    args = (LOGITS, TARGETS, FRAMES, LABELS)
    loss, grad = frontend.loss_and_grad(*args, reduction=reduction, denominator=denominator)
    _, expected = frontend.loss_and_grad(*args, infeasible="zero", reduction=reduction, denominator=denominator)
    assert loss == np.inf
    assert (grad == expected).all()


@CASES
def test_upstream_of_a_reduced_loss_scales_its_gradient(
    precise_frontend: Frontend, reduction: str, denominator: float | None
) -> None:
    args, options = (LOGITS, TARGETS, FRAMES, LABELS), {"reduction": reduction, "denominator": denominator}
    _, once = precise_frontend.loss_and_grad(*args, **options)
    _, scaled = precise_frontend.loss_and_grad(*args, upstream=-3.0, **options)
    np.testing.assert_allclose(scaled, -3 * once, rtol=1e-6)


@CASES
def test_an_empty_batch_reduces_to_0(frontend: Frontend, reduction: str, denominator: float | None) -> None:
    loss, grad = frontend.loss_and_grad(
        np.zeros((0, 6, 4)), np.zeros((0, 2), np.int64), reduction=reduction, denominator=denominator
    )
    assert loss == 0.0
    assert loss.shape == ()
    assert grad.shape == (0, 6, 4)


def test_targets_without_any_label_count_as_one(frontend: Frontend) -> None:
    empty = np.zeros((4, 0), np.int64)
    losses = frontend.loss(LOGITS, empty).astype(np.float64)
    assert frontend.loss(LOGITS, empty, reduction="labels") == pytest.approx(losses.sum(), rel=1e-6)
    assert frontend.loss(LOGITS, empty, reduction="mean") == pytest.approx(losses.mean(), rel=1e-6)


def test_a_denominator_over_steps_gives_the_gradient_of_the_one_big_batch(precise_frontend: Frontend) -> None:
    _, whole = precise_frontend.loss_and_grad(LOGITS[:3], TARGETS[:3], FRAMES[:3], LABELS[:3], reduction="labels")
    parts = [
        precise_frontend.loss_and_grad(
            LOGITS[rows], TARGETS[rows], FRAMES[rows], LABELS[rows], reduction="sum", denominator=5
        )[1]
        for rows in (slice(0, 1), slice(1, 3))
    ]
    if precise_frontend.same_bits:
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    else:  # a framework's own operations may round otherwise in another shape
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=64 * np.finfo(whole.dtype).eps, atol=0)
