"""What is particular to the JAX frontend as a whole."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqloss.jax
import seqloss.numpy as host
from seqloss.jax import ctc_loss, ctc_posteriors

MODULES = [module.name for module in pkgutil.walk_packages(seqloss.jax.__path__, "seqloss.jax.")]
RNG = np.random.default_rng(3)
LOGITS, TARGETS = RNG.normal(size=(4, 40, 9)).astype(np.float32), RNG.integers(1, 9, (4, 6))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", seqloss.jax.__all__)
def test_every_public_function_shows_an_example(name: str) -> None:
    value = getattr(seqloss.jax, name)
    assert isinstance(value, type) or ">>> " in value.__doc__


def test_three_threads_may_call_at_once() -> None:
    expected = host.ctc_loss_and_grad(LOGITS, TARGETS)
    compiled = jax.jit(jax.value_and_grad(lambda x: ctc_loss(x, TARGETS).sum()))
    wrong: list[int] = []

    def work(n: int) -> None:
        for _ in range(30):
            if not np.array_equal(compiled(jnp.asarray(LOGITS))[1], expected[1]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def test_numpy_arrays_lists_and_jax_arrays_mean_the_same() -> None:
    expected = host.ctc_loss(LOGITS, TARGETS, [40, 40, 30, 20], [6, 5, 4, 3])
    for kind in (np.asarray, jnp.asarray, np.ndarray.tolist):
        given = [kind(a) for a in (TARGETS, np.array([40, 40, 30, 20]), np.array([6, 5, 4, 3]))]
        np.testing.assert_array_equal(ctc_loss(jnp.asarray(LOGITS), *given), expected)


def test_only_the_loss_is_computed_where_no_gradient_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqloss.jax.ctc import kernel

    asked: list[bool] = []
    real = kernel.compute_rows
    monkeypatch.setattr(kernel, "compute_rows", lambda *a, **k: asked.append(k["gradient"]) or real(*a, **k))
    ctc_loss(LOGITS, TARGETS).block_until_ready()
    jax.jit(ctc_loss)(LOGITS, TARGETS).block_until_ready()
    assert asked == [False, False]
    jax.block_until_ready(jax.grad(lambda x: ctc_loss(x, TARGETS).sum())(jnp.asarray(LOGITS)))
    assert asked[2:] == [True]


def test_posteriors_are_numpys() -> None:
    np.testing.assert_array_equal(ctc_posteriors(LOGITS, TARGETS), host.ctc_posteriors(LOGITS, TARGETS))
