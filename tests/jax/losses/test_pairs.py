"""The losses of pairs and triplets under JAX's transformations."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqloss.errors import LabelError, OptionError
from seqloss.jax import batch_cosine_triplet, check_probabilities, cosine_triplet, pairwise_kl_hinge, pick_triplets

LABELS = jnp.array([0, 1, 0, 2])


def rows() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (4, 3))


def check_hessian(loss: Callable[[jax.Array], jax.Array], x: jax.Array) -> None:
    """The compiled Hessian is what differences of the compiled gradient are."""
    step, gradient = 1e-5, jax.jit(jax.grad(loss))
    moves = step * np.eye(x.size).reshape(-1, *x.shape)
    expected = [(gradient(x + move) - gradient(x - move)) / (2 * step) for move in moves]
    np.testing.assert_allclose(jax.jit(jax.hessian(loss))(x).reshape(-1, *x.shape), expected, atol=1e-8)


@pytest.mark.parametrize("options", [{"margin": 2.0}, {"hinge": "softplus"}, {"from_logits": False, "margin": 2.0}])
def test_the_kl_loss_is_compiled_and_differentiated_twice(options: dict[str, object]) -> None:
    with jax.enable_x64(True):
        x = np.asarray(rows(), np.float64)
        x = np.exp(x) / np.exp(x).sum(1, keepdims=True) if "from_logits" in options else x
        check_hessian(lambda x: pairwise_kl_hinge(x, LABELS, **options), x)


def test_the_triplet_loss_is_compiled_and_differentiated_twice() -> None:
    with jax.enable_x64(True):
        x = np.asarray(rows(), np.float64)
        check_hessian(lambda x: cosine_triplet(x, x[::-1], x + 1.0, margin=2.5), x)


def test_batches_of_batches() -> None:
    many, labels = jnp.stack([rows(), rows()[::-1]]), jnp.stack([LABELS, LABELS[::-1]])
    for loss in (pairwise_kl_hinge, batch_cosine_triplet):
        values, gradients = jax.jit(jax.vmap(jax.value_and_grad(loss)))(many, labels)
        np.testing.assert_allclose(values, [loss(rows(), LABELS)] * 2, rtol=1e-5)
        np.testing.assert_allclose(gradients[0], gradients[1][::-1], atol=1e-6)


@pytest.mark.parametrize("negatives", ["semi-hard", "hardest"])
def test_the_loss_of_a_batch_is_that_of_picked_triplets(negatives: str) -> None:
    x = jax.random.normal(jax.random.key(2), (9, 4))
    labels = jnp.array([0, 1, 2, 0, 1, 2, 0, 3, 3])
    a, p, n = pick_triplets(x, labels, negatives=negatives)
    expected = jax.value_and_grad(lambda x: cosine_triplet(x[a], x[p], x[n]))(x)
    found = jax.jit(jax.value_and_grad(lambda x, y: batch_cosine_triplet(x, y, negatives=negatives)))(x, labels)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


def test_random_negatives_need_a_key_and_are_of_other_labels() -> None:
    x = jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    options = {"margin": 2.25, "negatives": "random", "reduction": "none"}
    loss = batch_cosine_triplet(x, [0, 0, 1, 1], key=jax.random.key(0), **options)
    assert loss.tolist() == [[0, 0.25, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0.25], [0, 0, 0.25, 0]]
    with pytest.raises(OptionError, match="key: found None"):
        batch_cosine_triplet(x, [0, 0, 1, 1], **options)


def test_known_labels_without_a_triplet_are_refused_and_traced_ones_give_0() -> None:
    with pytest.raises(LabelError, match="there is no negative"):
        batch_cosine_triplet(rows(), [5] * 4)
    assert jax.jit(batch_cosine_triplet)(rows(), jnp.array([5] * 4)) == 0


def test_functions_of_the_host_refuse_traced_arrays() -> None:
    with pytest.raises(TypeError):
        jax.jit(lambda x: pick_triplets(x, LABELS))(rows())
    with pytest.raises(TypeError):
        jax.jit(check_probabilities)(rows())
