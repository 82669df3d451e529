"""Keras' backend is chosen once per process: `KERAS_BACKEND=jax pytest tests/keras`. Without it there are no tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

BACKEND = os.environ.get("KERAS_BACKEND", "")
collect_ignore_glob = [] if BACKEND else ["test_*.py"]

JIT = {"tensorflow": [False, True], "jax": [False, True], "torch": [False]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `jit` runs compiled and not, where the backend has both."""
    if "jit" in metafunc.fixturenames:
        metafunc.parametrize("jit", JIT[BACKEND])


@pytest.fixture
def backend() -> str:
    return BACKEND


@pytest.fixture
def value_and_grad() -> Callable[[Callable[[Any], Any], np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function's sum and its gradient, on this backend."""
    return {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}[BACKEND]


def _torch(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    value = function(tensor)
    value.sum().backward()
    assert tensor.grad is not None
    return value.detach().numpy(), tensor.grad.numpy()


def _tensorflow(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor)
    return value.numpy(), tape.gradient(value, tensor).numpy()


def _jax(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import jax

    def run(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, pull = jax.vjp(function, x)
        return value, pull(jax.numpy.ones_like(value))[0]

    value, gradient = jax.jit(run)(x)
    return np.asarray(value), np.asarray(gradient)
