"""The soft nearest neighbour loss under JAX' transformations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.errors import OptionError, SeqLossWarning
from seqloss.jax import soft_nearest_neighbor
from seqloss.jax.losses import soft_nearest_neighbor as module

POINTS = np.random.default_rng(0).normal(size=(8, 3))
LABELS = np.array([0, 1, 2, 0, 1, 0, 2, 0])


def test_loss_gradient_and_hessian_are_right_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, gradient, of_temperature = host.soft_nearest_neighbor_and_grad(POINTS, LABELS, temperature=0.5)
    for rows in (512, 3):  # the whole expression, and three rows at a time
        monkeypatch.setattr(module, "ROWS", rows)
        with jax.enable_x64(True):

            def call(x: jax.Array, t: jax.Array) -> jax.Array:
                return soft_nearest_neighbor(x, LABELS, temperature=t)

            x, heat = jnp.asarray(POINTS), jnp.asarray(0.5)
            found = jax.jit(jax.value_and_grad(call, (0, 1)))(x, heat)
            np.testing.assert_allclose(found[0], loss, rtol=1e-13)
            np.testing.assert_allclose(found[1][0], gradient, rtol=1e-11, atol=1e-14)
            np.testing.assert_allclose(found[1][1], of_temperature, rtol=1e-11)
            hessian = jax.jit(jax.hessian(call))(x, heat)
        step = 1e-6 * np.eye(24).reshape(24, 8, 3)
        moved = [
            [host.soft_nearest_neighbor_and_grad(POINTS + side * one, LABELS, temperature=0.5)[1] for side in (1, -1)]
            for one in step
        ]
        numerical = np.array([(ahead - behind) / 2e-6 for ahead, behind in moved]).reshape(8, 3, 8, 3)
        np.testing.assert_allclose(hessian, numerical, atol=1e-7)


def test_vmap_gives_each_batch_its_loss_and_gradient() -> None:
    many = jnp.asarray(np.stack([POINTS, POINTS[::-1]]), jnp.float32)
    labels = jnp.asarray(np.stack([LABELS, LABELS % 2]))
    losses, gradients = jax.jit(jax.vmap(jax.value_and_grad(soft_nearest_neighbor)))(many, labels)
    for x, y, loss, gradient in zip(many, labels, losses, gradients, strict=True):
        expected = host.soft_nearest_neighbor_and_grad(np.asarray(x), np.asarray(y))
        np.testing.assert_allclose(loss, expected[0], rtol=1e-5)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-6)


def test_a_traced_temperature_that_is_not_positive_gives_nan_and_a_known_one_is_refused() -> None:
    call = jax.jit(lambda t: soft_nearest_neighbor(POINTS, LABELS, temperature=t))
    assert np.isnan(call(0.0))
    assert np.isnan(call(-1.0))
    with pytest.raises(OptionError, match="temperature: expected a positive number"):
        soft_nearest_neighbor(POINTS, LABELS, temperature=jnp.asarray(-1.0))


def test_traced_labels_that_occur_once_are_left_out_of_the_mean_without_a_warning() -> None:
    points, labels = POINTS[:5].astype(np.float32), np.array([0, 0, 1, 2, 3])
    found = jax.jit(soft_nearest_neighbor)(points, labels)
    with pytest.warns(SeqLossWarning, match="3 of 5"):
        expected = host.soft_nearest_neighbor(points, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
