"""Sizes that TensorFlow does not know while it traces change nothing: every function, every axis, even the rank."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from keras.src.backend import set_keras_mask

from seqloss.errors import DTypeError
from seqloss.keras import CTC, ctc_batch_cost, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors, pack

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("of the TensorFlow backend alone", allow_module_level=True)

import tensorflow as tf

RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 7, 5)).astype(np.float32)
Y = np.array([[1, 3, 3], [2, 0, 0], [1, 2, 0]])
FRAMES, COUNTS = np.array([7, 5, 6]), np.array([3, 1, 2])
WEIGHTS = np.array([1.0, 0.5, 2.0], np.float32)
PROBABILITIES = np.exp(X) / np.exp(X).sum(axis=2, keepdims=True)
MASK = np.arange(7) < FRAMES[:, None]


@dataclass
class Case:
    """A function of the scores and of further arguments."""

    function: Callable[..., Any]
    args: tuple[np.ndarray, ...]


def masked(x: Any, y: Any, mask: Any, **options: Any) -> Any:
    x = tf.identity(x)
    set_keras_mask(x, mask)
    return CTC(**{"reduction": None, "logit_lengths": "mask", **options})(y, x)


def by(**options: Any) -> Callable[..., Any]:
    return lambda x, y, *weights: CTC(**{"reduction": None, **options})(y, x, *weights)


ENDED = np.array([[1, 3, 4], [2, 4, 0], [1, 4, 0]])
CASES = {
    "ctc_loss": Case(ctc_loss, (X, Y, FRAMES, COUNTS)),
    "ctc_loss, no lengths": Case(ctc_loss, (X, np.maximum(Y, 1))),
    "ctc_loss, blank last": Case(
        lambda *args: ctc_loss(*args, blank=-1, reduction="mean"), (X, Y, FRAMES, COUNTS)
    ),
    "ctc_loss, log-probabilities": Case(
        lambda *args: ctc_loss(*args, normalize=False), (np.log(PROBABILITIES) - 1e-6, Y, FRAMES, COUNTS)
    ),
    "ctc_batch_cost": Case(
        lambda x, *args: ctc_batch_cost(args[0], x, *args[1:]),
        (PROBABILITIES, Y, FRAMES[:, None], COUNTS[:, None]),
    ),
    "padding": Case(by(), (X, Y)),
    "padding, weights": Case(by(reduction="sum_over_batch_size"), (X, Y, WEIGHTS)),
    "padding, weights in a column": Case(by(reduction="sum"), (X, Y, WEIGHTS[:, None])),
    "padding -1, floating": Case(by(padding=-1), (X, np.where(Y, Y, -1).astype(np.float32))),
    "no padding": Case(by(padding=None), (X, np.maximum(Y, 1))),
    "end": Case(by(end=4), (X, ENDED)),
    "packed": Case(by(target_lengths="packed", logit_lengths="packed"), (X, pack(Y, COUNTS, FRAMES))),
    "predicted": Case(by(logit_lengths="predicted"), (X, Y)),
    "mask": Case(masked, (X, Y, MASK)),
    "mask, blank last": Case(
        lambda *args: masked(*args, blank=-1, padding=0, reduction="sum"), (X, Y, MASK)
    ),
}  # fmt: skip
UNKNOWN = ("batch", "time", "classes", "labels", "all", "rank")
COMPILED = [
    *((name, "all") for name in CASES),
    *(("ctc_loss, blank last", unknown) for unknown in UNKNOWN),
    ("ctc_batch_cost", "rank"),
    ("mask", "rank"),
    ("end", "labels"),
]
"""What XLA, at seconds for each program, is asked about."""

AT_ONCE = {"all", "rank"}
EACH_AXIS = {"ctc_loss", "ctc_batch_cost", "padding, weights in a column", "end", "packed", "mask"}
TRACED = [
    pytest.param(name, unknown, marks=[] if unknown in AT_ONCE or name in EACH_AXIS else [pytest.mark.long])
    for name in CASES
    for unknown in UNKNOWN
]


def shapes_of(args: tuple[np.ndarray, ...], unknown: str) -> list[Any]:
    """Of the scores and of the rest, as far as TensorFlow shall know them."""
    if unknown == "rank":
        return [None] * len(args)
    hidden = {"batch": (0, 0), "time": (1, None), "classes": (2, None), "labels": (None, 1)}
    first, rest = hidden.get(unknown, (None, None))

    def shape(array: np.ndarray, axis: int | None) -> list[int | None]:
        return [None if unknown == "all" or i == axis else size for i, size in enumerate(array.shape)]

    return [shape(args[0], first), *(shape(array, rest) for array in args[1:])]


def with_gradient(function: Callable[..., Any], x: Any, *rest: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x, *rest)
    return value, tape.gradient(value, x)


def traced(case: Case, unknown: str, jit: bool) -> tuple[np.ndarray, np.ndarray]:
    shapes = shapes_of(case.args, unknown)
    signature = [tf.TensorSpec(shape, array.dtype) for shape, array in zip(shapes, case.args, strict=True)]
    run = tf.function(
        lambda *args: with_gradient(case.function, *args), signature, jit_compile=jit or None, autograph=False
    )
    value, gradient = run(*map(tf.constant, case.args))
    return value.numpy(), gradient.numpy()


def eager(case: Case) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = with_gradient(case.function, *map(tf.constant, case.args))
    return value.numpy(), gradient.numpy()


@pytest.mark.parametrize(("name", "unknown"), TRACED)
def test_a_graph_of_unknown_sizes_gives_what_eager_gives(name: str, unknown: str) -> None:
    value, gradient = traced(CASES[name], unknown, jit=False)
    expected, expected_gradient = eager(CASES[name])
    assert np.isfinite(expected).all()
    assert (expected_gradient != 0).any()
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.long
@pytest.mark.parametrize(("name", "unknown"), COMPILED)
def test_a_compiled_graph_of_unknown_sizes_gives_what_eager_gives(name: str, unknown: str) -> None:
    assert_compiled(name, unknown)


@pytest.mark.parametrize(("name", "unknown"), [("mask, blank last", "rank"), ("end", "all")])
def test_compiled_graphs_of_unknown_sizes_at_a_glance(name: str, unknown: str) -> None:
    assert_compiled(name, unknown)


def assert_compiled(name: str, unknown: str) -> None:
    value, gradient = traced(CASES[name], unknown, jit=True)
    expected, expected_gradient = eager(CASES[name])
    np.testing.assert_allclose(value, expected, rtol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("options", [{}, {"end": 4}, {"target_lengths": "packed"}])
def test_an_axis_of_unknown_size_may_turn_out_empty(options: dict[str, Any], jit: bool) -> None:
    y = np.zeros((3, 0 if options.get("target_lengths") != "packed" else 1), np.int64)
    value, _ = traced(Case(by(**options, **({"logit_lengths": "all"} if options else {})), (X, y)), "all", jit)
    np.testing.assert_allclose(value, ctc_loss(X, np.zeros((3, 0), int)).numpy(), rtol=2e-6)


def test_a_compiled_graph_of_unknown_classes_answers_a_blank_that_is_none_with_nan() -> None:
    value, gradient = traced(Case(lambda *args: ctc_loss(*args, blank=5), (X, Y, FRAMES, COUNTS)), "classes", jit=True)
    assert np.isnan(value).all()
    assert np.isnan(gradient[0]).all()


def test_errors_at_run_time_have_the_text_of_the_contract() -> None:
    for x, y, blank, words in (
        (X, Y + 3, 0, r"y_true\[0, 1\]: found label 6, expected 0 to 4 without the blank 0"),
        (X, Y, 5, "blank: found 5, expected -5 to 4 for 5 classes"),
        (X[0], Y, 0, r"y_pred: expected shape \(batch, time, classes\)"),
        (X, Y[0], 0, r"y_true: expected shape \(batch, labels\)"),
        (X, Y[:2], 0, "y_true: expected 3 rows, one for each row of y_pred, found 2"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            traced(Case(by(blank=blank, padding=0), (x, y)), "rank", jit=False)


def test_weights_of_unknown_rank_are_one_for_each_row() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        traced(Case(by(), (X, Y, np.ones((3, 3), np.float32))), "rank", jit=False)


@pytest.mark.parametrize(
    "look", [lambda x, y: ctc_check(x, y), lambda x, y: ctc_posteriors(x, y), lambda x, y: ctc_greedy(x)]
)
def test_functions_of_the_host_raise_in_a_graph_with_a_hint(look: Callable[..., Any]) -> None:
    run = tf.function(look, [tf.TensorSpec(None, tf.float32), tf.TensorSpec(None, tf.int64)], autograph=False)
    with pytest.raises(DTypeError, match=r"call this outside of `fit` and of compiled functions"):
        run(X, Y)
