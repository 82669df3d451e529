"""Keras' backend is chosen once per process: `KERAS_BACKEND=jax pytest tests/keras`. Without it there are no tests."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

BACKEND = os.environ.get("KERAS_BACKEND", "")
collect_ignore_glob = [] if BACKEND else ["test_*.py", "*/test_*.py"]

JIT = {"tensorflow": [False, True], "jax": [False, True], "torch": [False]}


COMPILED_EACH_TIME = {
    "test_training_follows_the_curve_of_a_loop_by_hand",
    "test_graphs_give_the_definition_s_loss_and_gradient",
    "test_forms_are_refused_while_a_graph_is_traced",
    "test_an_infinite_upstream_leaves_frames_out_of_use_at_0",
}
"""`make test` runs these under TensorFlow's XLA, which takes seconds a program; `make test-long` also the others."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `jit` runs compiled and not, where the backend has both."""
    if "jit" in metafunc.fixturenames:
        late = BACKEND == "tensorflow" and metafunc.function.__name__ not in COMPILED_EACH_TIME
        marks = [pytest.mark.long] if late else []
        metafunc.parametrize("jit", [pytest.param(jit, marks=marks if jit else []) for jit in JIT[BACKEND]])


ONLY = {
    "jax": {
        "test_the_result_has_keras_own_type": ("None-float32-sum_over",),
        "test_training_follows_the_curve_of_a_loop_by_hand": ("True",),
        "test_fit_on_padded_batches_gives_the_mean_of_the_rows": ("mask-PyDataset",),
        "test_half_precision_models_train": ("True",),
        "test_training_on_packed_lengths_follows_its_own_curve": ("True",),
        "test_masked_frames_are_left_out_wherever_they_stand": ("True",),
        "test_the_loss_may_stand_in_a_layer_of_a_functional_model": ("True",),
        "test_an_untrained_model_learns_from_ends_that_come_too_early": ("True",),
        "test_a_row_that_does_not_fit_leaves_the_weights_finite": ("True",),
        "test_lengths_are_found": ("int64",),
        "test_a_second_derivative_is_never_silently_missing": (),
        "test_a_loss_comes_back_from_its_configuration": (),
        "test_a_loaded_model_evaluates_as_before": (),
        "test_the_keras_examples_of_a_page_run_and_give_what_they_show": (),
        "test_rounded_log_probabilities_are_no_error": (),
    },
    "torch": {
        "test_a_loss_comes_back_from_its_configuration": (),
        "test_a_loaded_model_evaluates_as_before": (),
        "test_fit_on_padded_batches_gives_the_mean_of_the_rows": ("generator", "PyDataset"),
        "test_keras_writes_its_defaults_where_they_are_looked_for": (),
    },
    "tensorflow": {
        "test_the_result_has_keras_own_type": ("None-float32", "sum_over_batch_size-float16"),
        "test_training_follows_the_curve_of_a_loop_by_hand": ("False", "True-float32"),
        "test_graphs_give_the_definition_s_loss_and_gradient": (
            "False-True", "False-False", "True-True-float64", "True-False-float32",
        ),
        "test_fit_on_padded_batches_gives_the_mean_of_the_rows": ("tf.data", "padding"),
        "test_lengths_are_found_in_a_model": (),
        "test_keras_writes_its_defaults_where_they_are_looked_for": (),
        "test_the_keras_examples_of_a_page_run_and_give_what_they_show": ("quick-start",),
    },
}  # fmt: skip
"""What `make test` leaves to `make test-long`, all but these cases of a test.

So it is where a program is compiled for each case, where another backend shows the same, and where TensorFlow would be
imported for it alone: by tf.data, or by Keras when it loads a model.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name, _, case = item.name.partition("[")
        kept = ONLY.get(BACKEND, {}).get(name)
        if kept is not None and not any(part in case for part in kept):
            item.add_marker(pytest.mark.long)


@pytest.fixture
def backend() -> str:
    return BACKEND


@pytest.fixture
def value_and_grad() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function of x and of whatever follows: its values, and the gradient of their sum by x, on this backend."""
    return {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}[BACKEND]


def _torch(function: Callable[..., Any], x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    value = function(tensor, *rest)
    value.sum().backward()
    assert tensor.grad is not None
    return value.detach().numpy(), tensor.grad.numpy()


def _tensorflow(function: Callable[..., Any], x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor, *rest)
    return value.numpy(), tape.gradient(value, tensor).numpy()


def _jax(function: Callable[..., Any], x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = _jitted(function)(x, *rest)
    return np.asarray(value), np.asarray(gradient)


@functools.cache
def _jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """One program a function and its shapes, however often it is called."""
    import jax

    def run(x: jax.Array, *rest: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, pull = jax.vjp(lambda x: function(x, *rest), x)
        return value, pull(jax.numpy.ones_like(value))[0]

    return jax.jit(run)
