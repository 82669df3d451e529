"""What JAX adds to the losses of real steps: jit, vmap, Hessians, and values that are traced."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqloss.jax import masked_cross_entropy, time_weighted

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 4, 5)).astype(np.float32)
LABELS = RNG.integers(0, 5, (3, 4))
LENGTHS = np.array([4, 2, 0])


def each_step(x: jax.Array, labels: jax.Array, lengths: jax.Array) -> jax.Array:
    return masked_cross_entropy(x, labels, lengths, reduction="none")


def test_jit_and_vmap_give_the_same() -> None:
    expected = each_step(LOGITS, LABELS, LENGTHS)
    np.testing.assert_allclose(jax.jit(each_step)(LOGITS, LABELS, LENGTHS), expected, rtol=1e-5)
    rows = jax.vmap(lambda *row: each_step(*(x[None] for x in row))[0])(LOGITS, LABELS, LENGTHS)
    np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_traced_values_that_are_wrong_are_nan_for_their_row_or_step() -> None:
    labels = LABELS.copy()
    labels[1, 0], labels[1, 1] = 5, -1
    found = np.asarray(jax.jit(each_step)(LOGITS, labels, np.array([5, 2, -1])))
    assert np.isnan(found[[0, 2]]).all()
    assert np.isnan(found[1]).tolist() == [True, True, False, False]


def test_padding_stays_out_of_first_and_second_derivatives() -> None:
    x = LOGITS.copy()
    x[1, 2:], x[2] = np.nan, np.inf
    loss = jax.jit(lambda x: masked_cross_entropy(x, LABELS, LENGTHS))
    gradient = np.asarray(jax.grad(loss)(x))
    assert (gradient[1, 2:] == 0).all()
    assert (gradient[2] == 0).all()
    assert np.isfinite(jax.hessian(loss)(x)).all()


def test_weights_may_be_learnt() -> None:
    def loss(rate: jax.Array) -> jax.Array:
        return time_weighted(jnp.ones((1, 3)), jnp.array([2]), weight=lambda step: step**rate)

    np.testing.assert_allclose(jax.grad(loss)(1.0), 2 * np.log(2) / 2, rtol=1e-5)
